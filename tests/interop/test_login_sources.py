"""The accounts of others at our own doors: a client logs in over TLS, and Dovecot or a checkpassword program decides."""

import contextlib
import smtplib
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import dovecot
from tests.support.dovecot import Dovecot
from tests.support.places import open_directory
from tests.support.programs import ROOT
from tests.support.server import DOMAIN, PASSWORD, Server, serving

pytestmark = pytest.mark.interop
ALICE = f"alice@{DOMAIN}"
HANGS = "#!/bin/sh\n# asked for bob it hangs, with a child that holds its descriptors\nread -r name <&3\ncase $name in bob*) sleep 300 & sleep 300 ;; esac\nexit 111\n"


@contextlib.contextmanager
def client(server: Server) -> Iterator[smtplib.SMTP]:
    """Behind STARTTLS and EHLO."""
    context = ssl.create_default_context(cafile=str(server.certificate))
    context.check_hostname = False
    with smtplib.SMTP("127.0.0.1", server.submission_port, timeout=60) as connected:
        connected.starttls(context=context)
        connected.ehlo()
        yield connected


def login(server: Server, user: str, password: str) -> int:
    """Try to log in, and give the code of the reply."""
    with client(server) as connected:
        try:
            return connected.login(user, password)[0]
        except smtplib.SMTPAuthenticationError as refused:
            return refused.smtp_code


# Dovecot


@pytest.fixture(scope="module")
def theirs() -> Iterator[Dovecot]:
    with dovecot.running({ALICE: "sesame", "carol": "другой пароль"}) as running:
        yield running


@pytest.fixture(scope="module")
def ours(theirs: Dovecot) -> Iterator[Server]:
    settings = {"auth.sources": ["dovecot"], "auth.dovecot.socket": str(theirs.socket)}
    with serving(settings=settings) as server:
        yield server


def test_only_what_dovecot_can_serve_is_offered(ours: Server) -> None:
    with client(ours) as connected:
        assert connected.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]


def test_dovecots_account_sends_as_itself(ours: Server) -> None:
    with client(ours) as connected:
        connected.login(ALICE, "sesame")
        connected.sendmail(ALICE, [ALICE], b"From: " + ALICE.encode() + b"\r\n\r\nby-dovecot\r\n")

    assert b"with ESMTPSA" in ours.wait_message("by-dovecot")


def test_a_password_that_dovecot_does_not_know_is_wrong(ours: Server) -> None:
    assert login(ours, ALICE, "wrong") == 535
    assert login(ours, "nobody@example.org", "sesame") == 535


def test_while_dovecot_is_away_logins_are_put_off_and_then_go_on(
    ours: Server, theirs: Dovecot
) -> None:
    theirs.kill()
    assert login(ours, ALICE, "sesame") == 454

    theirs.start()
    assert login(ours, ALICE, "sesame") == 235


# checkpassword


@pytest.fixture(scope="module")
def program() -> Iterator[tuple[Server, Path]]:
    with open_directory() as directory:
        accounts = directory / "accounts"
        accounts.write_text(f"{ALICE}:sesame\n")
        script = str(ROOT / "tests" / "support" / "checkpassword.py")
        command = [sys.executable, script, str(accounts), "/bin/true"]
        settings = {"auth.sources": ["checkpassword"], "auth.checkpassword.command": command}
        with serving(settings=settings) as server:
            yield server, accounts


def test_a_checkpassword_program_decides(program: tuple[Server, Path]) -> None:
    server, accounts = program

    assert login(server, ALICE, "sesame") == 235
    assert login(server, ALICE, "wrong") == 535
    accounts.rename(accounts.with_name("gone"))
    assert login(server, ALICE, "sesame") == 454
    accounts.with_name("gone").rename(accounts)
    assert login(server, ALICE, "sesame") == 235


def test_a_program_that_hangs_is_killed_and_the_next_client_is_served() -> None:
    with open_directory() as directory:
        script = directory / "hangs"
        script.write_text(HANGS)
        script.chmod(0o755)
        settings = {
            "auth.sources": ["users", "checkpassword"],
            "auth.checkpassword.command": [str(script)],
            "auth.checkpassword.timeout": "2s",
        }
        with serving(settings=settings) as server:
            assert login(server, f"bob@{DOMAIN}", "x") == 454
            assert login(server, ALICE, PASSWORD) == 235
            server.wait_log("login-unavailable")
