"""Submissions: envelopes as strict as SMTP's, content of clean lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.config import Local, Size
from notqmail.mail.address import Address
from notqmail.mail.envelope import Body, Notify, Ret
from notqmail.mail.errors import NotqmailError
from notqmail.mail.reply import Reply
from notqmail.system.submission import (
    ContentCheck,
    LocalUser,
    RefusedError,
    Submission,
    envelope_of,
    read_submission,
    write_submission,
)

ALICE = LocalUser(1000, "alice")
HOST = "mx.example.org"
LIMITS = Local()


def test_a_submission_survives_its_line() -> None:
    submission = Submission(
        ("bob@example.net", "jörg@exämple.org"),
        sender="",
        notify=("SUCCESS", "DELAY"),
        ret=Ret.HDRS,
        envid="x y",
        smtputf8=True,
        body=Body.EIGHTBIT,
    )

    assert read_submission(write_submission(submission)) == submission


@given(st.binary(max_size=200))
def test_no_line_breaks_the_reader(line: bytes) -> None:
    try:
        result: Submission | Reply = read_submission(line)
    except RefusedError as refused:
        result = refused.reply

    assert isinstance(result, Submission) or result.code == 554


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b'{"recipients": "a@b"}',
        b'{"recipients": ["a@b"], "uid": 0}',
        b'{"recipients": ["a@b"], "body": "9BIT"}',
        b'{"recipients": ["a@b"], "notify": ["NOW"]}',
        b'{"recipients": ["\xff"]}',
        b'{"recipients": ' + b"[" * 10000,
    ],
)
def test_a_line_of_another_form_is_refused(line: bytes) -> None:
    with pytest.raises(RefusedError, match=r"554 5\.5\.2"):
        read_submission(line)


def test_the_caller_is_the_sender_unless_one_is_given() -> None:
    assert envelope_of(Submission(("b@c",)), ALICE, HOST, LIMITS).sender == Address("alice", HOST)
    assert envelope_of(Submission(("b@c",), sender=""), ALICE, HOST, LIMITS).sender is None
    given_one = envelope_of(Submission(("b@c",), sender="x@y"), ALICE, HOST, LIMITS)
    assert given_one.sender == Address("x", "y")


@pytest.mark.parametrize("name", ["x" * 65, "bad\nname"])
def test_a_login_name_that_is_no_local_part_is_replaced_by_the_user_id(name: str) -> None:
    envelope = envelope_of(Submission(("b@c",)), LocalUser(1000, name), HOST, LIMITS)

    assert envelope.sender == Address("uid1000", HOST)


def test_recipients_stand_once_with_what_the_sender_wants_to_hear() -> None:
    submission = Submission(("b@C.org", "b@c.org", "d@e"), notify=("FAILURE", "DELAY"))

    recipients = envelope_of(submission, ALICE, HOST, LIMITS).recipients

    assert [str(r.address) for r in recipients] == ["b@c.org", "d@e"]
    assert {r.notify for r in recipients} == {Notify.FAILURE | Notify.DELAY}


@pytest.mark.parametrize(
    ("submission", "reply"),
    [
        (Submission(()), "554 5.5.1"),
        (Submission(("a@b", "c@d", "e@f", "g@h")), "554 5.5.3"),
        (Submission(("=?utf-8?q?a=00b?=",)), "553 5.1.3"),
        (Submission(("a\r\nRCPT TO:<x@y>@b",)), "553 5.1.3"),
        (Submission(("a@b\x00",)), "553 5.1.3"),
        (Submission(("a@b",), sender="<>"), "553 5.1.3"),
        (Submission(("a@b",), envid=""), "501 5.5.4"),
        (Submission(("a@b",), envid="x" * 101), "501 5.5.4"),
        (Submission(("a@b",), envid="x\ny"), "501 5.5.4"),
        (Submission(("a@b",), notify=()), "501 5.5.4"),
        (Submission(("a@b",), notify=("NEVER", "DELAY")), "501 5.5.4"),
    ],
)
def test_a_bad_envelope_is_refused_with_its_code(submission: Submission, reply: str) -> None:
    with pytest.raises(RefusedError) as caught:
        envelope_of(submission, ALICE, HOST, Local(recipients=3))

    assert str(caught.value).startswith(reply)
    assert isinstance(caught.value, NotqmailError)


def check(content: bytes, limits: Local = LIMITS, step: int = 7) -> str:
    """Give the refusal of content cut into small pieces, or ""."""
    checker = ContentCheck(limits)
    try:
        for start in range(0, len(content), step):
            checker.feed(content[start : start + step])
        checker.finish()
    except RefusedError as refused:
        return str(refused)[:10].strip()
    return ""


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"", ""),
        (b"A: b\r\n\r\nbody\r\n", ""),
        (b"A: b\r\n\r\n.\r\n..\r\n", ""),
        (b"\r\nbody\r\n", ""),
        (b"A: b\r\n\r\nno end", "550 5.6.11"),
        (b"A: b\n\r\n", "550 5.6.11"),
        (b"A: b\r\n\r\nx\n.\r\n", "550 5.6.11"),
        (b"A: b\r\n\r\nx\r.\r\n", "550 5.6.11"),
        (b"A: b\r\n\r\nx\r", "550 5.6.11"),
        (b"A: b\r\n\r\n\0\r\n", "550 5.6.11"),
        (b"A: b\r\n\r\n" + b"x" * 999 + b"\r\n", "554 5.6.0"),
        (b"A: b\r\n\r\n" + b"x" * 998 + b"\r\n", ""),
    ],
)
def test_content_is_lines(content: bytes, refusal: str) -> None:
    assert check(content, Local(text_line=1000)) == refusal


def test_content_has_a_bound() -> None:
    limits = Local(message=Size(20))

    assert check(b"A: b\r\n\r\n12345678901\r\n", limits) == "552 5.3.4"
    assert check(b"A: b\r\n\r\n1234567890\r\n", limits) == ""


def test_the_header_has_a_bound_however_it_is_cut() -> None:
    limits = Local(header=Size(20))

    for step in (1, 2, 3, 5, 100):
        assert check(b"A: bbbbbbbbbbb\r\n\r\n" + b"x\r\n" * 20, limits, step) == ""
    assert check(b"A: b\r\n" * 5 + b"\r\n", limits, 1) == "552 5.3.4"
    assert check(b"\r\n" + b"x\r\n" * 20, limits, 1) == ""
