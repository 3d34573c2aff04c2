"""A message: an envelope around content. The body is never edited; the header only by recorded edits.

Content is octets with CRLF line ends, as received, without our trace fields: those are edits, made once in
on_queue, kept beside the content and applied whenever it is read (`Message.chunks`).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from notqmail.mail.envelope import Envelope, Recipient
from notqmail.mail.header import HeaderEdit, HeaderEditor, edited, edited_size

__all__ = ["CHUNK", "NO_MARKS", "Content", "HeaderEdit", "Mark", "Message", "Octets", "closing"]

CHUNK = 65536  # octets: what content is read and written in


class Content(Protocol):
    """Octets at rest or in hand. Never held whole when large: `whole` is then None."""

    @property
    def size(self) -> int: ...

    @property
    def whole(self) -> bytes | None:
        """All of it, when it is small and in memory already."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Read it from the start, in pieces of at most CHUNK octets; may be called again."""


@asynccontextmanager
async def closing(chunks: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """End an iterator that may be left in the middle, so that what it reads from is closed now and not some time
    later."""
    try:
        yield chunks
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


@dataclass(frozen=True, slots=True)
class Octets:
    """Content in memory: what we made ourselves, or what is small."""

    whole: bytes

    @property
    def size(self) -> int:
        return len(self.whole)

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.whole), CHUNK):
            yield self.whole[start : start + CHUNK]


@dataclass(frozen=True, slots=True)
class Mark:
    """What judgement leaves on a recipient for delivery to honour: `folder` such as "Junk", and why."""

    folder: str
    reason: str = ""


NO_MARKS: Mapping[Recipient, Mark] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Message:
    """What travels. `marks` are stored with the recipient and honoured at delivery."""

    envelope: Envelope
    content: Content
    edits: tuple[HeaderEdit, ...] = ()
    marks: Mapping[Recipient, Mark] = field(default_factory=lambda: NO_MARKS)

    @property
    def size(self) -> int:
        """Octets after the edits; removals are counted as if they removed nothing (an upper bound)."""
        return self.content.size + edited_size(self.edits)

    @property
    def whole(self) -> bytes | None:
        """The edited message, when the content is in memory; None when it must be read in chunks."""
        content = self.content.whole
        if content is None or not self.edits:
            return content
        return edited(self.edits, content)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The edited message, in pieces."""
        editor = HeaderEditor(self.edits)
        async with closing(self.content.chunks()) as chunks:
            async for chunk in chunks:
                for piece in editor.feed(chunk):
                    yield piece
        for piece in editor.finish():
            yield piece
