"""What people send with, logged in at both doors: msmtp, swaks, curl, Nodemailer, Python's smtplib."""

import json
import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.support.programs import ROOT, Ran, program, run
from tests.support.server import DOMAIN, PASSWORD, Server, serving

pytestmark = pytest.mark.interop
ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(users=("alice", "bob")) as running:
        yield running


def _written(mark: str) -> bytes:
    return f"From: {ALICE}\nTo: {BOB}\nSubject: {mark}\n\n{mark}\n".encode()


# msmtp: the configuration of docs/how-to/mail-programs.md


def _msmtprc(server: Server, place: Path, door: str, auth: str) -> Path:
    page = (ROOT / "docs" / "how-to" / "mail-programs.md").read_text("utf-8")
    text = page.partition("```msmtprc\n")[2].partition("```")[0]
    assert "auth on" in text
    text = (
        text.replace("mail.example.org", "127.0.0.1")
        .replace("port 465", f"port {server.submissions_port}")
        .replace('passwordeval "pass show mail"', f"password {PASSWORD}")
    )
    # the certificate of the test is for the server's name, which is nowhere in DNS
    text += f"tls_trust_file {server.certificate}\ntls_host_override mx.example.org\n"
    if door == "submission":
        text = text.replace("tls_starttls off", "tls_starttls on").replace(
            f"port {server.submissions_port}", f"port {server.submission_port}"
        )
    path = place / "msmtprc"
    path.write_text(text.replace("auth on", f"auth {auth}"))
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("door", ["submissions", "submission"])
@pytest.mark.parametrize("auth", ["on", "plain", "login", "scram-sha-256"])
def test_msmtp_logs_in_as_the_page_shows(
    server: Server, tmp_path: Path, door: str, auth: str
) -> None:
    mark = f"by-msmtp-{door}-{auth}"
    sent = run(
        [program("msmtp"), "-C", str(_msmtprc(server, tmp_path, door, auth)), BOB],
        given=_written(mark),
    )

    assert sent.status == 0, sent.output
    header = server.wait_message(mark, "bob").partition(b"\r\n\r\n")[0]
    assert b"with ESMTPSA" in header
    assert b"127.0.0.1" not in header, "the client's address is nobody's business"


# swaks


def _swaks(server: Server, *arguments: str, password: str = PASSWORD) -> Ran:
    return run(
        [
            *(program("swaks"), "--server", "127.0.0.1", "--from", ALICE, "--to", BOB),
            *("--auth-user", ALICE, "--auth-password", password, "--auth-hide-password"),
            *arguments,
        ]
    )


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("door", ["--tls", "--tls-on-connect"])
def test_swaks_logs_in_at_either_door(server: Server, mechanism: str, door: str) -> None:
    port = server.submission_port if door == "--tls" else server.submissions_port
    mark = f"by-swaks-{mechanism}{door}"

    sent = _swaks(server, door, "--port", str(port), "--auth", mechanism, "--body", mark)

    assert sent.status == 0, sent.output
    assert "235 2.7.0" in sent.output
    server.wait_message(mark, "bob")


def test_swaks_with_a_wrong_password_is_told_no_more_than_that(server: Server) -> None:
    port = str(server.submission_port)

    refused = _swaks(server, "--tls", "--port", port, "--auth", "PLAIN", password="wrong")

    assert refused.status == 28, refused.output  # swaks: authentication failed
    assert "535 5.7.8 name or password is wrong" in refused.output
    server.wait_log("login-failed")
    assert "wrong" not in server.log.replace('why="wrong', "")


@pytest.mark.parametrize(
    ("arguments", "status", "reply"),
    [
        (["--auth", "PLAIN"], 28, ""),  # no login in clear: it is not even offered
        (["--tls", "--auth", "CRAM-MD5"], 28, ""),
    ],
)
def test_swaks_finds_no_way_around_tls(
    server: Server, arguments: list[str], status: int, reply: str
) -> None:
    refused = _swaks(server, "--port", str(server.submission_port), *arguments)

    assert refused.status == status, refused.output
    assert "AUTH" not in refused.output.partition("STARTTLS")[0]


def test_swaks_without_a_login_may_not_send(server: Server) -> None:
    refused = run(
        [
            *(program("swaks"), "--server", "127.0.0.1", "--port", str(server.submission_port)),
            *("--tls", "--from", ALICE, "--to", BOB),
        ]
    )

    assert refused.status == 23, refused.output  # swaks: MAIL was refused
    assert "530 5.7.0 authentication required" in refused.output


def test_swaks_speaks_tls_at_the_door_for_the_world(server: Server) -> None:
    sent = run(
        [
            *(program("swaks"), "--server", server.address, "--tls", "--from", "x@y.example"),
            *("--to", BOB, "--body", "by-swaks-mx-tls"),
        ]
    )

    assert sent.status == 0, sent.output
    message = server.wait_message("by-swaks-mx-tls", "bob").replace(b"\n\t", b" ")
    assert b" with ESMTPS id " in message
    assert b" tls TLS_AES_256_GCM_SHA384 (TLSv1.3);" in message


# curl


@pytest.mark.parametrize("login", ["AUTH=*", "AUTH=PLAIN", "AUTH=LOGIN"])
def test_curl_sends(server: Server, login: str, tmp_path: Path) -> None:
    mark = f"by-curl-{login}"
    (tmp_path / "mail").write_bytes(_written(mark).replace(b"\n", b"\r\n"))
    name = f"mx.example.org:{server.submissions_port}"

    sent = run(
        [
            *(program("curl"), "--silent", "--show-error", f"smtps://{name}"),
            *("--connect-to", f"{name}:127.0.0.1:{server.submissions_port}"),
            *("--cacert", str(server.certificate), "--user", f"{ALICE}:{PASSWORD}"),
            *("--login-options", login, "--mail-from", ALICE, "--mail-rcpt", BOB),
            *("--upload-file", str(tmp_path / "mail")),
        ]
    )

    assert sent.status == 0, sent.output
    server.wait_message(mark, "bob")


# Nodemailer


@pytest.mark.parametrize("secure", [True, False])
def test_nodemailer_sends(server: Server, secure: bool) -> None:
    module = ROOT / ".peers" / "nodemailer" / "node_modules" / "nodemailer"
    if not module.exists():
        pytest.skip("Nodemailer is not below .peers; scripts/peers fetches it")
    mark = f"by-nodemailer-{secure}"
    port = server.submissions_port if secure else server.submission_port
    settings = {
        "transport": {
            "host": "127.0.0.1",
            "port": port,
            "secure": secure,
            "requireTLS": True,
            "auth": {"user": ALICE, "pass": PASSWORD},
            "tls": {"ca": server.certificate.read_text(), "servername": "mx.example.org"},
        },
        "message": {"from": ALICE, "to": BOB, "bcc": ALICE, "subject": "x", "text": mark},
    }

    sent = run(
        [program("node"), str(Path(__file__).with_name("nodemailer") / "send.js"), str(module)],
        given=json.dumps(settings).encode(),
    )

    assert sent.status == 0, sent.output
    assert "250 2.0.0 queued as " in sent.output
    server.wait_message(mark, "bob")
    server.wait_message(mark, "alice")


# smtplib


def test_smtplib_sends_what_is_not_from_its_user_only_where_it_may(server: Server) -> None:
    context = ssl.create_default_context(cafile=str(server.certificate))
    context.check_hostname = False
    forged = EmailMessage()
    forged["From"], forged["To"], forged["Subject"] = BOB, ALICE, "forged"
    forged.set_content("x")

    with smtplib.SMTP_SSL("127.0.0.1", server.submissions_port, context=context) as client:
        client.login(ALICE, PASSWORD)
        with pytest.raises(smtplib.SMTPRecipientsRefused) as envelope:
            client.sendmail(BOB, [ALICE], b"Subject: x\r\n\r\nx\r\n")
        with pytest.raises(smtplib.SMTPDataError) as header:
            client.send_message(forged, from_addr=ALICE)

    assert envelope.value.recipients[ALICE][0] == 553
    assert header.value.smtp_code == 550
