"""With Postfix as the other server, both ways, through both queues."""

import smtplib
from email import message_from_bytes
from email.header import decode_header

import pytest

from tests.interop.conftest import Pair
from tests.support.server import DOMAIN
from tests.support.smtp_client import SmtpClient

pytestmark = pytest.mark.interop
LARGE = 20 << 20


def _inject(pair: Pair, sender: str, *recipients: str, content: bytes) -> None:
    """Hand a message to our queue as a local user does."""
    given = pair.ours.command("inject", "-f", sender, *recipients, given=content)
    assert given.status == 0, given.output


def _body(message: bytes) -> bytes:
    """What stands after the header, with the line ends of the wire."""
    lines = message.replace(b"\r\n", b"\n")
    return lines[lines.index(b"\n\n") + 2 :].replace(b"\n", b"\r\n")


def test_our_queue_delivers_to_postfix_by_mx(pair: Pair) -> None:
    _inject(
        pair,
        f"alice@{DOMAIN}",
        "bob@postfix.test",
        content=b"Subject: to postfix\n\nout-by-mx\n.\n..two dots\n",
    )

    message = pair.postfix.wait_message("out-by-mx")

    assert b"Return-Path: <alice@example.org>" in message
    assert _body(message) == b"out-by-mx\r\n.\r\n..two dots\r\n"


def test_postfix_delivers_to_us(pair: Pair) -> None:
    with smtplib.SMTP(pair.postfix.host, pair.postfix.port) as client:
        client.sendmail(
            "bob@postfix.test",
            [f"alice@{DOMAIN}"],
            b"Subject: from postfix\r\n\r\nin-by-smtp\r\n.\r\n",
        )

    message = pair.ours.wait_message("in-by-smtp")

    assert message.startswith(b"Return-Path: <bob@postfix.test>")
    assert b"by mx.postfix.test (Postfix)" in message
    assert b"by mx.example.org" in message
    assert _body(message) == b"in-by-smtp\r\n.\r\n"


def test_large_message_is_the_same_octets_at_both_ends(pair: Pair) -> None:
    line = b"0123456789abcdef-\xe4\xf6\xfc-" * 3
    body = b"large-message\r\n" + b"".join(b"%d %b\r\n" % (n, line) for n in range(LARGE // 75))
    with smtplib.SMTP(pair.postfix.host, pair.postfix.port) as client:
        client.sendmail(
            "bob@postfix.test",
            [f"alice@{DOMAIN}"],
            b"Subject: large\r\n\r\n" + body,
            ["BODY=8BITMIME"],
        )
    inbound = pair.ours.wait_message("large-message")

    _inject(pair, f"alice@{DOMAIN}", "bob@postfix.test", content=inbound)
    outbound = pair.postfix.wait_message("large-message")

    assert _body(inbound) == body
    assert _body(outbound) == body


def test_unknown_recipient_here_becomes_a_bounce_of_postfix(pair: Pair) -> None:
    with smtplib.SMTP(pair.postfix.host, pair.postfix.port) as client:
        client.sendmail(
            "bob@postfix.test", [f"nobody@{DOMAIN}"], b"Subject: lost\r\n\r\nlost-one\r\n"
        )

    bounce = pair.postfix.wait_message("lost-one")

    assert b"550 5.1.1" in bounce


def test_unknown_recipient_there_becomes_a_bounce_of_ours(pair: Pair) -> None:
    _inject(pair, f"alice@{DOMAIN}", "nobody@postfix.test", content=b"Subject: lost\n\nlost-two\n")

    bounce = message_from_bytes(pair.ours.wait_message("nobody@postfix.test"))

    assert bounce.get_content_type() == "multipart/report"
    status = bounce.get_payload(1).get_payload()[1]
    assert status["Status"].startswith("5.1.1")
    assert status["Action"] == "failed"
    assert "550 5.1.1" in status["Diagnostic-Code"]
    assert "mx.postfix.test" in status["Remote-MTA"]


def test_null_mx_is_a_bounce_at_once(pair: Pair) -> None:
    _inject(pair, f"alice@{DOMAIN}", "bob@nomail.test", content=b"Subject: lost\n\nlost-three\n")

    bounce = pair.ours.wait_message("bob@nomail.test")

    assert b"5.1.10" in bounce  # RFC 7505 §4.2


def test_success_report_asked_of_us_is_honoured_by_postfix(pair: Pair) -> None:
    """We hand NOTIFY, ENVID and ORCPT on; Postfix delivers and reports (RFC 3461 §5.2)."""
    with SmtpClient.greeted(pair.ours.port) as client:
        assert client.ask("MAIL FROM:<bob@postfix.test> RET=HDRS ENVID=env+2B1").startswith("250")
        notify = "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Forwarded@Example.Org"
        assert client.ask(f"RCPT TO:<forwarded@{DOMAIN}> {notify}").startswith("250")
        assert client.data(b"Subject: report\r\n\r\nreport-me\r\n").startswith("250")

    report = message_from_bytes(pair.postfix.wait_message("Original-Envelope-Id: env+1"))

    assert report.get_content_type() == "multipart/report"
    assert b"Original-Recipient: rfc822;Forwarded@Example.Org".lower() in report.as_bytes().lower()


def test_internationalised_mail_to_postfix(pair: Pair) -> None:
    _inject(
        pair,
        f"дима@{DOMAIN}",
        "дмитрий@postfix.test",
        content="Subject: привет\n\neai-out\n".encode(),
    )

    message = pair.postfix.wait_message("eai-out", "дмитрий")

    assert f"Return-Path: <дима@{DOMAIN}>".encode() in message
    assert "Subject: привет".encode() in message


def test_internationalised_mail_from_postfix(pair: Pair) -> None:
    with smtplib.SMTP(pair.postfix.host, pair.postfix.port) as client:
        client.ehlo()
        client.mail("дмитрий@postfix.test", ["SMTPUTF8", "BODY=8BITMIME"])
        client.rcpt(f"дима@{DOMAIN}")
        client.data("Subject: привет\r\n\r\neai-in\r\n".encode())

    message = pair.ours.wait_message("eai-in", "дима")

    assert "Return-Path: <дмитрий@postfix.test>".encode() in message
    assert b"with UTF8SMTP" in message
    assert decode_header(message_from_bytes(message)["Subject"])
