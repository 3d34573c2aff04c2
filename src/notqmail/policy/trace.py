"""Our Received field, put on top of every message that enters the queue (RFC 5321 §4.4)."""

from collections.abc import Callable
from dataclasses import dataclass

from notqmail.mail.message import HeaderEdit, Message
from notqmail.policy.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Trace:
    """`received` writes the whole field with its CRLF."""

    received: Callable[[Transaction, Message], bytes]

    def on_queue(self, txn: Transaction, message: Message) -> Message:
        edit = HeaderEdit("prepend", self.received(txn, message))
        return Message(message.envelope, message.content, (*message.edits, edit), message.marks)
