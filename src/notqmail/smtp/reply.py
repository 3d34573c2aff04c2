"""Replies out of a stream of octets: the client's side of the dialogue (RFC 5321 §4.2).

The octets come from a stranger: a reply is bounded, its text is cleaned by Reply, and what is no reply ends the
dialogue. A bare LF is taken for a line's end here, since nothing that could be smuggled follows a reply.
"""

import re

from notqmail.mail.errors import RemoteProtocolError
from notqmail.mail.reply import Reply

LIMIT = 65536  # octets of one reply with all its lines; RFC 5321 §4.5.3.1.5 asks for 512 a line

# Reply-code, then a hyphen when more lines follow; servers leave out the space of an empty text
_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)


class ReplyParser:
    """Cuts replies: feed octets, then take replies with `next` until it gives None. `limit` is octets of one
    reply; over it, and at a line that is none, `next` raises RemoteProtocolError, again each time it is called."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0  # no LF before here
        self._lines: list[str] = []
        self._code = b""
        self._size = 0  # octets of the lines so far
        self._broken = ""

    @property
    def pending(self) -> bool:
        """True when octets of a reply have come that is not complete, or of one not yet taken."""
        return bool(self._buffer or self._lines)

    def feed(self, octets: bytes) -> None:
        """Take octets from the peer."""
        self._buffer += octets

    def next(self) -> Reply | None:
        """Give the next reply; None when more octets are needed."""
        while not self._broken:
            at = self._buffer.find(b"\n", self._searched)
            taken = len(self._buffer) if at < 0 else at + 1
            if self._size + taken > self._limit:
                self._broken = f"a reply of more than {self._limit} octets"
            elif at < 0:
                self._searched = taken
                return None
            else:
                self._size += taken
                reply = self._line(bytes(self._buffer[:at]).removesuffix(b"\r"))
                del self._buffer[:taken]
                self._searched = 0
                if reply is not None:
                    return reply
        self._buffer.clear()
        raise RemoteProtocolError(self._broken)

    def _line(self, line: bytes) -> Reply | None:
        """Add a line to the reply; give the reply when this is its last."""
        match = _LINE.fullmatch(line)
        if match is None:
            self._broken = f"not an SMTP reply: {_shown(line)}"
            return None
        code, more, text = match.groups(default=b"")
        if self._lines and code != self._code:
            self._broken = f"a reply with two codes, {self._code.decode()} and {code.decode()}"
            return None
        self._code = code
        self._lines.append(text.decode("utf-8", "replace"))
        if more == b"-":
            return None
        reply = Reply.received(int(code), "\n".join(self._lines))
        self._lines, self._size = [], 0
        return reply


def _shown(line: bytes) -> str:
    return ascii(line[:64].decode("utf-8", "replace"))
