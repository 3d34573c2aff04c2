"""Clients that people use, as they are: swaks, msmtp, Python's smtplib."""

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from tests.support.programs import Ran, program, run
from tests.support.server import DOMAIN, Server, serving

pytestmark = pytest.mark.interop
ALICE = f"alice@{DOMAIN}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def _swaks(server: Server, *arguments: str) -> Ran:
    return run([program("swaks"), "--server", server.address, "--from", "x@y.example", *arguments])


def test_swaks_sends_a_message_as_the_readme_shows(server: Server) -> None:
    sent = run([program("swaks"), "--to", ALICE, "--server", server.address, "--body", "by-swaks"])

    assert sent.status == 0, sent.output
    assert "250 2.0.0 queued as " in sent.output
    assert server.wait_message("by-swaks").startswith(b"Return-Path: <")


def test_swaks_pipelines(server: Server) -> None:
    sent = _swaks(
        server, "--to", f"{ALICE},postmaster@{DOMAIN}", "--pipeline", "--body", "by-pipeline"
    )

    assert sent.status == 0, sent.output
    server.wait_message("by-pipeline")


def test_swaks_hears_of_an_unknown_recipient_at_rcpt(server: Server) -> None:
    refused = _swaks(server, "--to", f"nobody@{DOMAIN}")

    assert refused.status == 24, refused.output  # swaks: no recipient was accepted
    assert "550 5.1.1 " in refused.output
    assert "DATA" not in refused.output


def test_swaks_may_not_relay(server: Server) -> None:
    refused = _swaks(server, "--to", "bob@postfix.test")

    assert refused.status == 24, refused.output
    assert "550 5.7.1 " in refused.output


@pytest.mark.parametrize("address", ["Postmaster", "postmaster@[127.0.0.1]", f"abuse@{DOMAIN}"])
def test_swaks_reaches_the_postmaster_of_the_house(server: Server, address: str) -> None:
    sent = _swaks(server, "--to", address, "--body", f"to-{address}")

    assert sent.status == 0, sent.output
    server.wait_message(f"to-{address}")


def test_msmtp_sends_with_dsn(server: Server) -> None:
    host, _, port = server.address.partition(":")
    sent = run(
        [
            *(program("msmtp"), f"--host={host}", f"--port={port}", "--from=x@y.example"),
            *("--dsn-notify=failure,delay", "--dsn-return=headers", ALICE),
        ],
        given=b"Subject: by msmtp\n\nby-msmtp\n",
    )

    assert sent.status == 0, sent.output
    assert b"Subject: by msmtp" in server.wait_message("by-msmtp")


def test_smtplib_sees_the_extensions_and_uses_them(server: Server) -> None:
    message = EmailMessage()
    message["Subject"] = "by smtplib: grüße"
    message.set_content("by-smtplib\n", cte="8bit")
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo()
        assert client.esmtp_features["size"] == str(50 << 20)
        offered = {"pipelining", "8bitmime", "smtputf8", "enhancedstatuscodes", "chunking", "dsn"}
        assert offered <= client.esmtp_features.keys()
        assert "starttls" in client.esmtp_features
        assert "auth" not in client.esmtp_features
        client.send_message(message, "x@y.example", [ALICE], mail_options=["BODY=8BITMIME"])

    server.wait_message("by-smtplib")


def test_smtplib_is_refused_a_message_announced_too_large(server: Server) -> None:
    with (
        smtplib.SMTP("127.0.0.1", server.port) as client,
        pytest.raises(smtplib.SMTPSenderRefused) as refused,
    ):
        client.sendmail("x@y.example", [ALICE], b"\r\n" + b"x" * (50 << 20))

    assert refused.value.smtp_code == 552


def test_smtplib_sends_twenty_megabytes_byte_for_byte(server: Server) -> None:
    body = b"twenty-megabytes\r\n" + (b"." + b"y" * 75 + b"\r\n") * ((20 << 20) // 78)
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.sendmail("x@y.example", [ALICE], b"Subject: large\r\n\r\n" + body)

    stored = server.wait_message("twenty-megabytes").replace(b"\r\n", b"\n")

    assert stored[stored.index(b"\n\n") + 2 :] == body.replace(b"\r\n", b"\n")
