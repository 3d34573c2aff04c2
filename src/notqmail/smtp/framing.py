"""Command lines out of a stream of octets: only CRLF ends a line (RFC 5321 §2.3.8).

Feed octets, then take events with `next` until it gives None. What is buffered is at most `limit` octets and what was
fed since. Each octet is looked at once, however the stream is cut.
"""

from dataclasses import dataclass, field

VERB = 4  # octets


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its CRLF; it holds no CR and no LF."""

    octets: bytes

    @property
    def verb(self) -> bytes:
        """The first octets, in upper case: enough to know a verb of RFC 5321 by."""
        return self.octets[:VERB].upper()


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line over the limit. It is told once, when the limit is passed; the rest, up to its LF, is thrown away."""

    verb: bytes = field(default=b"", compare=False)


@dataclass(frozen=True, slots=True)
class BadEnding:
    """A line with a bare CR in it, or ended by a bare LF. It has been consumed up to its LF."""

    verb: bytes = field(default=b"", compare=False)


class LineReader:
    """Cuts lines. `limit` is octets of a line with its CRLF, and may be changed between lines."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._start = 0  # where the unread octets begin
        self._searched = 0  # no LF before here
        self._discarding = False

    @property
    def pending(self) -> int:
        """Octets fed and not yet consumed."""
        return len(self._buffer) - self._start

    def feed(self, data: bytes) -> None:
        """Take octets from the peer."""
        if self._start:
            # cheap: a bytearray moves its start, it does not move its octets
            del self._buffer[: self._start]
            self._searched -= self._start
            self._start = 0
        self._buffer += data

    def next(self) -> Line | TooLong | BadEnding | None:
        """Give the next event; None when more octets are needed."""
        if self._discarding and not self._discard():
            return None
        buffer, start = self._buffer, self._start
        at = buffer.find(b"\n", self._searched)
        # without its LF yet, a line of `limit` octets is too long already
        over = len(buffer) - start >= self.limit if at < 0 else at - start >= self.limit
        if over:
            self._discarding = True
            self._searched = len(buffer) if at < 0 else at
            return TooLong(self._verb(start))
        if at < 0:
            self._searched = len(buffer)
            return None
        self._start = self._searched = at + 1
        line = bytes(buffer[start : at - 1]) if at > start else b""
        if at == start or buffer[at - 1] != 0x0D or b"\r" in line:
            return BadEnding(self._verb(start))
        return Line(line)

    def take_rest(self) -> bytes:
        """Give all that is buffered and forget it: what follows is content."""
        rest = bytes(self._buffer[self._start :])
        self._clear()
        return rest

    def _verb(self, start: int) -> bytes:
        return bytes(self._buffer[start : start + VERB]).upper()

    def _discard(self) -> bool:
        """Throw away to the end of the line; say whether it was there."""
        at = self._buffer.find(b"\n", self._searched)
        if at < 0:
            self._clear()
            return False
        self._start = self._searched = at + 1
        self._discarding = False
        return True

    def _clear(self) -> None:
        self._buffer.clear()
        self._start = self._searched = 0
