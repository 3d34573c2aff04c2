"""Received goes on top."""

from notqmail.mail.message import Mark, Message, Octets
from notqmail.policy.trace import Trace
from tests.support.policy import ALICE, transaction


def test_our_field_is_above_all_others() -> None:
    txn = transaction(ALICE)
    message = Message(txn.envelope, Octets(b"A: 1\r\n\r\n"), marks={ALICE: Mark("Junk")})
    trace = Trace(lambda txn, message: f"Received: {txn.id}\r\n".encode())

    traced = trace.on_queue(txn, trace.on_queue(txn, message))

    assert traced.whole == b"Received: 1QUEUEID\r\nReceived: 1QUEUEID\r\nA: 1\r\n\r\n"
    assert traced.marks == {ALICE: Mark("Junk")}


def test_the_field_is_written_of_this_message_whose_envelope_stays() -> None:
    txn, asked = transaction(ALICE), list[object]()
    message = Message(txn.envelope, Octets(b"A: 1\r\n\r\n"))

    def received(*args: object) -> bytes:
        asked.extend(args)
        return b"Received: here\r\n"

    traced = Trace(received).on_queue(txn, message)

    assert asked == [txn, message]
    assert traced.envelope is message.envelope
