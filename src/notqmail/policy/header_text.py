"""The header of the message being judged, read once for all the stages that look into it."""

from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from notqmail.mail.errors import SpoolError
from notqmail.mail.header import END, MAX_HEADER, header_end
from notqmail.mail.message import Content, Message
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT, Defer, Verdict
from notqmail.smtp.content import spool_reply


@dataclass(frozen=True, slots=True)
class HeaderText:
    """Evidence: the fields as octets, without the empty line, MAX_HEADER octets at most; and the same in lower
    case, in which names are found at the speed of a search."""

    octets: bytes
    lowered: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lowered", b"\r\n" + self.octets.lower())

    def values(self, name: bytes) -> Iterator[bytes]:
        """Yield the unfolded values of the fields of that name (in lower case), from the top."""
        needle = b"\r\n%b:" % name
        at = self.lowered.find(needle)
        while at >= 0:
            start = at + len(name) + 1  # `lowered` is two octets ahead, and the colon is passed
            yield self._value(start)
            at = self.lowered.find(needle, at + len(needle))

    def _value(self, start: int) -> bytes:
        end = self.octets.find(b"\r\n", start)
        while end >= 0 and self.octets[end + 2 : end + 3] in (b" ", b"\t"):
            end = self.octets.find(b"\r\n", end + 2)
        raw = self.octets[start:end] if end >= 0 else self.octets[start:]
        return raw.replace(b"\r\n", b"").strip(b" \t")


@dataclass(frozen=True, slots=True)
class ReadHeader:
    """Finds the header for the stages after it; decides nothing, unless the disk does not give it."""

    gives: ClassVar[tuple[type, ...]] = (HeaderText,)

    def on_message(self, txn: Transaction, message: Message) -> Verdict | Awaitable[Verdict]:
        whole = message.content.whole
        if whole is None:
            return self._read(txn, message.content)
        return self._found(txn, whole)

    async def _read(self, txn: Transaction, content: Content) -> Verdict:
        read = b""
        try:
            async for chunk in content.chunks():
                read += chunk
                if END in read or len(read) >= MAX_HEADER:
                    break
        except SpoolError as error:  # the disk's trouble, not this stage's; those after it have something to look at
            self._found(txn, read)
            return Defer(spool_reply(error), "store")
        return self._found(txn, read)

    def _found(self, txn: Transaction, data: bytes) -> Verdict:
        txn.evidence.add(HeaderText(data[: min(header_end(data), MAX_HEADER)]))
        return ACCEPT


def message_id(txn: Transaction) -> str:
    """Give the Message-ID of the message that was judged, as written, or ""."""
    header = txn.evidence.get(HeaderText)
    if header is None:
        return ""
    return next(header.values(b"message-id"), b"").decode("utf-8", "replace")
