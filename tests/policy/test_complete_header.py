"""A submitted header is completed, and loses what must not leave."""

import pytest

from notqmail.mail.address import Address
from notqmail.mail.login import Login
from notqmail.mail.message import Mark, Message, Octets
from notqmail.policy.complete_header import NO_FROM, CompleteHeader
from notqmail.policy.header_text import ReadHeader
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT, Reject, Verdict
from notqmail.policy.well_formed import WellFormed
from tests.support.policy import ALICE, session, transaction

STAGE = CompleteHeader("mx.example.org")
LOGIN = Login("alice@example.org", Address("alice", "example.org"))
DATE = b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"
MESSAGE_ID = b"Message-ID: <1QUEUEID@mx.example.org>\r\n"


def through(
    content: bytes, login: Login | None = LOGIN, sender: Address | None = LOGIN.address
) -> tuple[Verdict, Message]:
    txn = transaction(ALICE, within=session(login=login))
    txn.sender = sender
    return judged(txn, content)


def judged(txn: Transaction, content: bytes) -> tuple[Verdict, Message]:
    message = Message(txn.envelope, Octets(content), marks={ALICE: Mark("Junk")})
    for stage in (ReadHeader(), WellFormed()):
        assert stage.on_message(txn, message) is ACCEPT
    return STAGE.on_message(txn, message), STAGE.on_queue(txn, message)


def test_what_is_missing_is_put_on_top() -> None:
    verdict, message = through(b"Subject: hi\r\n\r\nhi\r\n")

    assert verdict is ACCEPT
    assert message.whole == (
        DATE + MESSAGE_ID + b"From: alice@example.org\r\nSubject: hi\r\n\r\nhi\r\n"
    )
    assert message.marks == {ALICE: Mark("Junk")}


def test_a_message_without_a_header_gets_one() -> None:
    _, message = through(b"\r\nhi\r\n")

    assert message.whole == DATE + MESSAGE_ID + b"From: alice@example.org\r\n\r\nhi\r\n"


def test_a_complete_message_stays_as_it_is() -> None:
    content = (
        b"from : a@b\r\nDATE: x\r\nmessage-id: <1@b>\r\nBcc-Not: x\r\n\r\nBcc: in the body\r\n"
    )

    verdict, message = through(content)

    assert verdict is ACCEPT
    assert message.edits == ()
    assert message.whole == content


@pytest.mark.parametrize(
    "field", [b"Bcc: x@y", b"BCC : x@y,\r\n z@y", b"Resent-Bcc:", b"Return-Path: <x@y>"]
)
def test_what_must_not_leave_is_removed(field: bytes) -> None:
    rest = b"From: a@b\r\nDate: x\r\nMessage-ID: <1@b>\r\n"

    _, message = through(field + b"\r\n" + rest + field + b"\r\n\r\nhi\r\n")

    assert message.whole == rest + b"\r\nhi\r\n"


def test_from_is_the_envelope_sender_or_the_login() -> None:
    other = Address("office", "example.org")
    bound = Login("alice@example.org", LOGIN.address, label="phone", only_from=other)

    assert b"From: office@example.org\r\n" in (through(b"\r\n", LOGIN, other)[1].whole or b"")
    assert b"From: alice@example.org\r\n" in (through(b"\r\n", LOGIN, None)[1].whole or b"")
    assert b"From: office@example.org\r\n" in (through(b"\r\n", bound, None)[1].whole or b"")


@pytest.mark.parametrize("login", [Login("backup"), None])
def test_without_anybody_to_name_a_message_needs_its_own_from(login: Login | None) -> None:
    verdict, _ = through(b"Subject: hi\r\n\r\n", login, None)

    assert verdict == Reject(NO_FROM, "no From")
    assert through(b"From: a@b\r\n\r\n", login, None)[0] is ACCEPT


def test_utf8_stands_in_from_only_where_the_envelope_allows_it() -> None:
    zoe = Login("zoë@example.org", Address("zoë", "example.org"))
    txn = transaction(ALICE, within=session(login=zoe), smtputf8=True)
    txn.sender = None

    verdict, message = judged(txn, b"\r\n")

    assert verdict is ACCEPT
    assert "From: zoë@example.org\r\n".encode() in (message.whole or b"")
    assert isinstance(through(b"\r\n", zoe, None)[0], Reject)
