"""A submitted header made fit to travel (RFC 6409 §8): Date, Message-ID and From where they are missing, Bcc removed.

A missing From is the envelope sender, which the login owns, else the login's own address (§8.1 lets us name who sends); a
message for which neither is known is refused.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from notqmail.mail.address import Address
from notqmail.mail.completion import DROPPED, missing_fields
from notqmail.mail.message import HeaderEdit, Message
from notqmail.mail.reply import Reply
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT, Reject, Verdict
from notqmail.policy.well_formed import Fields

NO_FROM: Final = Reply(550, "5.6.0", "the message has no From field; add one")


@dataclass(frozen=True, slots=True)
class CompleteHeader:
    """`hostname` is our name, as an A-label, for a Message-ID."""

    hostname: str

    needs: ClassVar[tuple[type, ...]] = (Fields,)

    def on_message(self, txn: Transaction, message: Message) -> Verdict:
        has_from = next(_fields(txn).named("from"), None) is not None
        return ACCEPT if has_from or _author(txn) is not None else Reject(NO_FROM, "no From")

    def on_queue(self, txn: Transaction, message: Message) -> Message:
        have = {field.name.lower() for field in _fields(txn).all}
        author = str(_author(txn)).encode()  # "None" is not read: there is a From then
        new = missing_fields(have, author, txn.started, f"{txn.id}@{self.hostname}")
        edits = [
            *([HeaderEdit("prepend", new)] if new else ()),
            *(HeaderEdit("remove", name.encode()) for name in sorted(DROPPED & have)),
        ]
        if not edits:
            return message
        return replace(message, edits=(*message.edits, *edits))


def _fields(txn: Transaction) -> Fields:
    fields = txn.evidence.get(Fields)
    assert fields is not None  # the pipeline checked the order
    return fields


def _author(txn: Transaction) -> Address | None:
    """Who From names where the message does not, if that can stand in this header (RFC 6532 needs SMTPUTF8)."""
    login = txn.session.login
    own = None if login is None else login.only_from or login.address
    address = txn.sender or own
    return address if address is not None and (address.ascii or txn.smtputf8) else None
