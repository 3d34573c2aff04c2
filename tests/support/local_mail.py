"""Entries for local delivery, and content that comes in chunks."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from notqmail.mail.address import Address
from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Envelope, Recipient
from notqmail.mail.errors import SpoolError
from notqmail.mail.header import HeaderEdit
from notqmail.mail.hop import Hop
from notqmail.mail.message import Content, Mark, Message, Octets

TEXT = b"From: a@example.net\r\nSubject: s\r\n\r\nhello\r\n"
BORN = 1_800_000_000.25


@dataclass(frozen=True)
class Chunked:
    """Content that is never whole, as a large message's; `broken` breaks off after the last chunk."""

    parts: Sequence[bytes]
    broken: bool = False
    whole = None

    @property
    def size(self) -> int:
        return sum(map(len, self.parts))

    async def chunks(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part
        if self.broken:
            raise SpoolError("the blob is gone")


def local_entry(
    content: Content | bytes = TEXT,
    *recipients: str,
    id: str = "0001",
    mailbox: str = "alice@example.org",
    sender: str | None = "bob@example.net",
    folder: str = "",
    token: int = 1,
    recovered: bool = False,
    edits: tuple[HeaderEdit, ...] = (),
) -> Entry:
    """Make an entry for one mailbox; its recipients are the mailbox itself unless given."""
    to = tuple(Recipient(Address.parse(name)) for name in recipients or (mailbox,))
    marks = {recipient: Mark(folder) for recipient in to} if folder else {}
    message = Message(
        Envelope(Address.parse(sender) if sender else None, to),
        Octets(content) if isinstance(content, bytes) else content,
        edits,
        marks,
    )
    return Entry(id, message, Hop("local", mailbox), BORN, token, recovered=recovered)
