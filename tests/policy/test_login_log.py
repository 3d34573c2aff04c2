"""The log lines of logins: their form stays, for fail2ban reads them."""

import logging

import pytest

from notqmail.log import as_json, as_text
from notqmail.policy.login_log import MAX_USER, log_failure, log_success


@pytest.fixture(autouse=True)
def _all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "notqmail")


def failed(caplog: pytest.LogCaptureFixture, user: str, address: str = "192.0.2.1") -> str:
    log_failure(session="s1", address=address, user=user, mechanism="PLAIN", why="wrong password")
    return as_text(caplog.records[-1]).partition(" ")[2]


def test_a_failure_is_a_line_in_a_form_that_stays(caplog: pytest.LogCaptureFixture) -> None:
    assert failed(caplog, "alice@example.org") == (
        "info login login-failed s=s1 ip=192.0.2.1 user=alice@example.org mechanism=PLAIN"
        ' why="wrong password"\n'
    )
    assert as_json(caplog.records[-1]).partition(",")[2] == (
        '"level":"info","area":"login","event":"login-failed","s":"s1","ip":"192.0.2.1",'
        '"user":"alice@example.org","mechanism":"PLAIN","why":"wrong password"}\n'
    )


def test_a_mapped_client_is_named_as_the_firewall_knows_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert " ip=192.0.2.1 " in failed(caplog, "alice", "::ffff:192.0.2.1")


def test_a_name_is_escaped_and_bounded(caplog: pytest.LogCaptureFixture) -> None:
    line = failed(caplog, "a\r\nip=198.51.100.1 \u2028" + "x" * 5000)

    assert line.count("\n") == 1
    assert r' user="a\r\nip=198.51.100.1 \u2028xxx' in line
    assert len(line) < 2 * MAX_USER


def test_who_is_in_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    log_success(
        session="s1",
        address="2001:db8::1",
        account="alice@example.org",
        mechanism="PLAIN",
        label="phone",
    )

    assert as_text(caplog.records[-1]).partition(" ")[2] == (
        "info login login s=s1 ip=2001:db8::1 user=alice@example.org mechanism=PLAIN label=phone\n"
    )
