"""Service extensions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.reply import Reply
from notqmail.smtp.extension import (
    NONE,
    SessionLimits,
    ehlo_reply,
    parse_ehlo,
    session_limits,
    size_limit,
)

OURS = {"PIPELINING": "", "SIZE": "52428800", "LIMITS": "MAILMAX=1000 RCPTMAX=100"}


def test_our_reply_has_our_name_first_and_a_line_for_each_extension() -> None:
    assert ehlo_reply("mx.example.org", OURS).wire == (
        b"250-mx.example.org\r\n"
        b"250-PIPELINING\r\n"
        b"250-SIZE 52428800\r\n"
        b"250 LIMITS MAILMAX=1000 RCPTMAX=100\r\n"
    )


def test_no_extensions_are_no_lines() -> None:
    assert ehlo_reply("mx.example.org", NONE).wire == b"250 mx.example.org\r\n"


def test_what_we_say_is_what_a_peer_reads() -> None:
    assert parse_ehlo(ehlo_reply("mx.example.org", OURS)) == OURS


def test_a_refusal_offers_nothing() -> None:
    assert parse_ehlo(Reply(502, "5.5.1", "no\nSIZE 1")) == {}


def test_the_first_line_is_a_greeting() -> None:
    assert parse_ehlo(Reply(250, "", "SIZE 1")) == {}


def test_keywords_are_folded_and_odd_lines_are_left_out() -> None:
    reply = Reply(
        250, "", "mx\nstartTLS\nAUTH=PLAIN\n\n-X\n  auth   PLAIN  LOGIN \nAUTH CRAM-MD5\n???"
    )

    assert parse_ehlo(reply) == {"STARTTLS": "", "AUTH": "PLAIN LOGIN"}


@given(st.text(max_size=200))
def test_no_reply_makes_the_reader_fail(text: str) -> None:
    extensions = parse_ehlo(Reply(250, "", text))

    assert all(keyword == keyword.upper() for keyword in extensions)
    size_limit(extensions)
    session_limits(extensions)


@pytest.mark.parametrize(
    ("params", "limit"),
    [
        ("1000", 1000),
        ("0", None),
        ("", None),
        ("-1", None),
        ("²", None),
        ("1 2", None),
        ("9" * 21, None),
    ],
)
def test_size_is_a_number_or_no_limit(params: str, limit: int | None) -> None:
    assert size_limit({"SIZE": params}) == limit


def test_no_size_is_no_limit() -> None:
    assert size_limit({}) is None


def test_limits_are_read_and_unknown_ones_ignored() -> None:
    extensions = {"LIMITS": "RCPTMAX=20 rcptdomainmax=1 FOO=1 MAILMAX=x RCPTMAX=5"}

    assert session_limits(extensions) == SessionLimits(None, 20, 1)


def test_a_limit_of_nothing_is_no_limit() -> None:
    assert session_limits({"LIMITS": "MAILMAX=0"}) == SessionLimits()


@pytest.mark.parametrize(
    ("limits", "read"),
    [
        ("MAILMAX=5", SessionLimits(5, None, None)),
        ("mailmax=5 RCPTDOMAINMAX=2 RCPTMAX=3", SessionLimits(5, 3, 2)),
    ],
)
def test_each_limit_is_read_by_its_own_name(limits: str, read: SessionLimits) -> None:
    assert session_limits({"LIMITS": limits}) == read


def test_the_reply_to_ehlo_has_no_enhanced_code() -> None:
    assert ehlo_reply("mx.example.org", {}).enhanced == ""
