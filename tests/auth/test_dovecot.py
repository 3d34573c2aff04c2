"""Dovecot's authentication protocol: what we write and what we read."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.auth.credentials import MAX_PASSWORD, MAX_USER, Credentials
from notqmail.auth.dovecot import (
    MAX_LINE,
    Accepted,
    Event,
    Parser,
    Ready,
    Refused,
    cancel,
    escape,
    greeting,
    request,
    unescape,
)
from notqmail.mail.errors import RemoteProtocolError
from notqmail.mail.login import Attempt
from tests.support.splits import cuts, pieces

HANDSHAKE = (
    b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t20524\nCUID\t1\n"
    b"COOKIE\t9a4643b024a96beadb756852d0466cd7\nDONE\n"
)


def read(*octets: bytes) -> list[Event]:
    parser = Parser()
    return [event for piece in octets for event in parser.feed(piece)]


def after_handshake(lines: bytes) -> list[Event]:
    return read(HANDSHAKE + lines)[1:]


def test_greeting_names_version_and_process() -> None:
    assert greeting(4711) == b"VERSION\t1\t1\nCPID\t4711\n"


def test_request_holds_the_login_in_base64_and_the_response_last() -> None:
    line = request(7, Credentials(b"alice", b"se\tsame"), Attempt("2001:db8::7", "192.0.2.1"))

    *fields, response = line.split(b"\t")
    assert fields == [
        *(b"AUTH", b"7", b"PLAIN", b"service=smtp", b"nologin", b"no-penalty", b"secured"),
        *(b"lip=192.0.2.1", b"rip=2001:db8::7"),
    ]
    assert response == b"resp=" + base64.b64encode(b"\0alice\0se\tsame") + b"\n"


def test_address_that_is_not_known_is_left_out() -> None:
    assert b"lip" not in request(1, Credentials(b"a", b"b"), Attempt("192.0.2.7"))


@given(st.text(min_size=1), st.text(), st.text())
def test_request_is_one_line_that_dovecot_takes(user: str, password: str, address: str) -> None:
    sent = Credentials(b"u" * MAX_USER, b"p" * MAX_PASSWORD)
    address = address.encode("utf-8", "replace").decode()[:100]

    line = request(0xFFFF_FFFF, sent, Attempt(address))

    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert len(line) <= MAX_LINE


def test_cancel_names_the_request() -> None:
    assert cancel(7) == b"CANCEL\t7\n"


@given(st.binary())
def test_escaping_is_undone(value: bytes) -> None:
    assert unescape(escape(value)) == value
    assert not set(escape(value)) & set(b"\0\t\n\r")


@pytest.mark.parametrize(
    ("value", "meant"), [(b"a\x01", b"a"), (b"a\x01xb", b"axb"), (b"\x01\x01t", b"\t")]
)
def test_escape_before_anything_else_is_dropped(value: bytes, meant: bytes) -> None:
    assert unescape(value) == meant


def test_handshake_ends_with_ready() -> None:
    assert read(HANDSHAKE) == [Ready()]


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"OK\t1\tuser=alice@example.org\n", Accepted(1, "alice@example.org")),
        (b"OK\t1\tuser=alice\toriginal_user=ALICE\n", Accepted(1, "alice")),
        (b"OK\t1\n", Accepted(1, "")),
        (b"OK\t4294967295\tuser=a\x01tb\n", Accepted(0xFFFF_FFFF, "a\tb")),
        (b"OK\t1\tuser=\xff\n", Accepted(1, "\ufffd")),
        (b"OK\t1\tuser=alice\tnologin\n", Refused(1)),
        (b"OK\t1\tuser=alice\tnologin\tproxy\thost=192.0.2.9\n", Accepted(1, "alice")),
        (b"FAIL\t1\tuser=alice\n", Refused(1)),
        (b"FAIL\t1\n", Refused(1)),
        (b"FAIL\t1\tuser=alice\tuser_disabled\n", Refused(1)),
        (b"FAIL\t1\tuser=alice\tauthz\n", Refused(1)),
        (b"FAIL\t1\tuser=alice\tcode=pass_expired\n", Refused(1)),
        (b"FAIL\t1\tuser=alice\ttemp\n", Refused(1, temporary=True)),
        (b"FAIL\t1\tuser=alice\tcode=temp_fail\n", Refused(1, temporary=True)),
        (b"CONT\t1\tcGFzcw==\n", Refused(1, temporary=True)),
    ],
)
def test_answer_is_read(line: bytes, event: Event) -> None:
    assert after_handshake(line) == [event]


def test_command_we_do_not_know_is_passed_over() -> None:
    assert after_handshake(b"NEWS\t1\tx\n\nMECH\tOTHER\nOK\t2\tuser=a\n") == [Accepted(2, "a")]


@pytest.mark.parametrize(
    "octets",
    [
        b"220 mx.example.org ESMTP\n",
        b"VERSION\t2\t0\n",
        b"VERSION\n",
        b"OK\t1\tuser=alice\n",
        b"VERSION\t1\t2\nMECH\tLOGIN\nDONE\n",
        HANDSHAKE + b"OK\n",
        HANDSHAKE + b"OK\tx\n",
        HANDSHAKE + b"OK\t99999999999\n",
        HANDSHAKE + b"FAIL\t\n",
        b"x" * (MAX_LINE + 1),
        HANDSHAKE + b"OK\t1\tuser=" + b"x" * MAX_LINE + b"\n",
    ],
)
def test_what_no_dovecot_says_ends_it(octets: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read(octets)


def test_line_without_end_is_not_kept_without_bound() -> None:
    with pytest.raises(RemoteProtocolError):
        read(*[b"x" * 1000] * (MAX_LINE // 1000 + 1))


ANSWERS = HANDSHAKE + b"OK\t1\tuser=alice\nFAIL\t2\ttemp\nFAIL\t3\n"


@given(cuts())
def test_any_split_gives_the_same_events(where: list[int]) -> None:
    assert read(*pieces(ANSWERS, where)) == [
        Ready(),
        Accepted(1, "alice"),
        Refused(2, temporary=True),
        Refused(3),
    ]
