"""The header of a submitted message, field by field, and nothing else in it.

Who reads a message may go on behind a line that is no field, or read `From :` as From. So what is checked or completed
must be a header as a whole: any other is refused, and the program that wrote it can be mended (RFC 6409 §6.4, RFC 5322 §2.2).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from notqmail.mail.header import MAX_HEADER, Field, split_header
from notqmail.mail.message import Message
from notqmail.mail.reply import Reply
from notqmail.policy.header_text import HeaderText
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT, Reject, Verdict
from notqmail.smtp.content import HEADER_SIZE

NO_HEADER: Final = Reply(
    550,
    "5.6.0",
    "the header has a line that is no field; write NAME: VALUE lines, then an empty line, then the text",
)


@dataclass(frozen=True, slots=True)
class Fields:
    """Evidence: all fields of the header, from the top."""

    all: tuple[Field, ...]

    def named(self, name: str) -> Iterator[Field]:
        """Yield the fields of that name (in lower case)."""
        return (field for field in self.all if field.name.lower() == name)


@dataclass(frozen=True, slots=True)
class WellFormed:
    """Refuses a header that is none as a whole, or too large to be looked at as a whole."""

    needs: ClassVar[tuple[type, ...]] = (HeaderText,)
    gives: ClassVar[tuple[type, ...]] = (Fields,)

    def on_message(self, txn: Transaction, message: Message) -> Verdict:
        header = txn.evidence.get(HeaderText)
        assert header is not None  # the pipeline checked the order
        octets = header.octets
        fields = tuple(split_header(octets))
        txn.evidence.add(Fields(fields))
        if len(octets) >= MAX_HEADER:
            return Reject(HEADER_SIZE, "header size", {"limit": MAX_HEADER})
        read = sum(len(field.raw) for field in fields)
        return ACCEPT if read == len(octets) else Reject(NO_HEADER, "header", {"octet": read})
