"""Reception of one message: how its octets are read off the wire, and how they reach draft, sinks and limits.

Memory is bounded by the draft's batches: nothing here holds more than the chunk in hand. A fault never stops the
reading, because only the true end of the data keeps client and server in step; it only stops the storing.
"""

from collections.abc import Awaitable, Sequence

from notqmail.config import Limits
from notqmail.mail.errors import SpoolError
from notqmail.mail.message import Content
from notqmail.mail.reply import Reply
from notqmail.policy.stage import BodySink
from notqmail.ports import Draft
from notqmail.smtp.chunking import ChunkChecker
from notqmail.smtp.content import SizeCheck, refusal, spool_reply
from notqmail.smtp.dots import DataDecoder
from notqmail.smtp.faults import Faults


class Reception:
    """Takes content in pieces of any size; `refusal` is the reason why it will not be accepted, if any."""

    __slots__ = ("_check", "_draft", "_sinks", "refusal")

    def __init__(self, draft: Draft, limits: Limits, sinks: Sequence[BodySink]) -> None:
        self._draft: Draft | None = draft
        self._check = SizeCheck(limits.message, limits.header)
        self._sinks = sinks
        self.refusal: Reply | None = None

    @property
    def size(self) -> int:
        """Octets that came, kept or not."""
        return self._check.size

    def take(self, chunk: bytes) -> Awaitable[None] | None:
        """Store octets; an awaitable result is back-pressure. A SpoolError becomes the refusal."""
        too_much = self._check.feed(chunk)
        if too_much is not None:
            self.refuse(too_much)
        if self._draft is None:
            return None
        for sink in self._sinks:
            sink.feed(chunk)
        try:
            pressure = self._draft.write(chunk)
        except SpoolError as error:
            self.refuse(spool_reply(error))
            return None
        return None if pressure is None else self._store(pressure)

    def refuse(self, reply: Reply) -> None:
        """Refuse the message with `reply` at its end and keep nothing of it; the first reason stays."""
        if self.refusal is None:
            self.refusal = reply
        self.discard()

    def judge(self, faults: Faults) -> Reply | None:
        """The message has ended: say why it is refused for its form, or None."""
        if self.refusal is None:
            reply = refusal(faults)
            if reply is not None:
                self.refuse(reply)
            else:
                for sink in self._sinks:
                    sink.finish()
        return self.refusal

    def content(self) -> Content:
        """What was received; only while there is no refusal."""
        assert self._draft is not None
        return self._draft.content()

    def release(self) -> Draft:
        """Hand the draft over to who commits it."""
        assert self._draft is not None
        draft, self._draft = self._draft, None
        return draft

    def discard(self) -> None:
        """Forget what was stored, unless it was handed over."""
        if self._draft is not None:
            self._draft.discard()
            self._draft = None

    async def _store(self, pressure: Awaitable[None]) -> None:
        try:
            await pressure
        except SpoolError as error:
            self.refuse(spool_reply(error))


class DataInput:
    """The octets after DATA, up to CRLF.CRLF (RFC 5321 §4.1.1.4)."""

    last = True
    empty = False

    def __init__(self, reception: Reception, limits: Limits, repair_bare_lf: bool) -> None:
        self.reception = reception
        self._decoder = DataDecoder(limits.text_line, repair_bare_lf)

    def take(self, octets: bytes) -> Awaitable[None] | None:
        content = self._decoder.feed(octets)
        return self.reception.take(content) if content else None

    @property
    def done(self) -> bool:
        return self._decoder.done

    @property
    def rest(self) -> bytes:
        return self._decoder.rest

    def refusal(self) -> Reply | None:
        """Say why the message, complete now, is refused for its form."""
        return self.reception.judge(self._decoder.faults)


class ChunkInput:
    """The octets after one BDAT (RFC 3030 §2). They are read whatever the answer will be, to stay in step."""

    def __init__(self, size: int, last: bool, into: "Chunked | Reply") -> None:
        self.last = last
        self.empty = not size
        self.rest = b""
        self._left = size
        self._into = into

    def take(self, octets: bytes) -> Awaitable[None] | None:
        octets, self.rest = octets[: self._left], octets[self._left :]
        self._left -= len(octets)
        return self._into.take(octets) if isinstance(self._into, Chunked) else None

    @property
    def done(self) -> bool:
        return not self._left

    def refusal(self) -> Reply | None:
        """Say why this chunk, complete now, is refused; after the last one, why the message is."""
        if isinstance(self._into, Reply):
            return self._into
        return self._into.refusal(last=self.last)


class Chunked:
    """A message that comes in chunks: what its BDAT commands share."""

    def __init__(self, reception: Reception, limits: Limits) -> None:
        self.reception = reception
        self._checker = ChunkChecker(limits.text_line)

    def take(self, octets: bytes) -> Awaitable[None] | None:
        self._checker.feed(octets)
        return self.reception.take(octets) if octets else None

    def refusal(self, *, last: bool) -> Reply | None:
        if not last:
            return self.reception.refusal
        self._checker.finish()
        return self.reception.judge(self._checker.faults)
