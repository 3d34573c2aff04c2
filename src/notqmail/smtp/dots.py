"""Dot transparency and the end of the data (RFC 5321 §4.5.2), both ways.

Only CRLF.CRLF ends the data. Everything that looks like it (LF.LF, CR.CR, LF.CRLF, …) is content with a fault, so
nothing can be smuggled in; the encoder refuses a bare CR or LF, so nothing can be smuggled out.
"""

import re

from notqmail.mail.errors import LocalProtocolError
from notqmail.smtp.faults import FaultFinder, Faults

_END = b"\r\n.\r\n"
_DOT = b"\r\n."
# What may be the start of _END at the end of a piece; with repair also after a bare LF.
_TAIL = re.compile(rb"\r(?:\n(?:\.\r?)?)?\Z")
_TAIL_LF = re.compile(rb"(?:\r|\r?\n(?:\.\r?)?)\Z")
# With repair: a dot alone on its line stays; at the end of a piece it is one, its line end was held back.
_STUFFED = re.compile(rb"\r\n\.(?!\r\n|\Z)")


class DataDecoder:
    """Reads DATA: feed octets, take the content that is ready; at most 4 octets are held back.

    `max_line` is octets of a content line with CRLF. `repair_bare_lf` reads a bare LF as the end of a line (for local
    submission only): it becomes CRLF and is no fault, and a dot alone on such a line is content, never the end.
    """

    def __init__(self, max_line: int, repair_bare_lf: bool = False) -> None:
        self.done = False
        self.rest = b""  # what came after the end: the next commands
        self._finder = FaultFinder(max_line)
        self._repair = repair_bare_lf
        self._tail = b"\r\n"  # the data begins at the start of a line
        self._begun = False

    @property
    def faults(self) -> Faults:
        """What is wrong with the content so far; complete when `done`."""
        return self._finder.faults

    def feed(self, chunk: bytes) -> bytes:
        """Take octets; give decoded content. After `done` it is a bug to feed more."""
        if self.done:
            raise LocalProtocolError("the data has ended")
        data = self._tail + chunk
        dotted = data.find(_DOT)
        end = data.find(_END, dotted) if dotted >= 0 else -1
        if end >= 0:
            self.done, self.rest, self._tail = True, data[end + 5 :], b""
            data = data[: end + 2]
        elif (
            tail := (_TAIL_LF if self._repair else _TAIL).search(data, max(len(data) - 4, 0))
        ) is not None:
            self._tail = tail[0]
            data = data[: tail.start()]
        else:
            self._tail = b""
        return self._decode(data, dotted >= 0)

    def _decode(self, data: bytes, dotted: bool) -> bytes:
        """Check and decode a piece that neither splits a line end nor parts one from its dot."""
        finder = self._finder
        if finder.look(data) and self._repair:
            finder.faults.bare_lf = False
            data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            dotted = True
        if dotted:
            data = _STUFFED.sub(b"\r\n", data) if self._repair else data.replace(_DOT, b"\r\n")
        finder.measure(data)
        if not self._begun and data:
            self._begun = True
            return data[2:]
        return data


class DotEncoder:
    """Writes DATA: feed content, send what comes back, then `finish`. At most 2 octets are held back."""

    def __init__(self) -> None:
        self._tail = b"\r\n"  # the data begins at the start of a line
        self._begun = False

    def feed(self, content: bytes) -> bytes:
        """Encode octets of content; raise LocalProtocolError on a bare CR or LF."""
        data = self._tail + content
        held = 2 if data.endswith(b"\r\n") else data.endswith(b"\r")
        cut = len(data) - held
        self._tail, data = data[cut:], data[:cut]
        bare = data.replace(b"\r\n", b"")
        if b"\n" in bare or b"\r" in bare:
            raise LocalProtocolError("content with a bare CR or LF cannot be sent by DATA")
        data = data.replace(_DOT, b"\r\n..")
        if not self._begun and data:
            self._begun = True
            return data[2:]
        return data

    def finish(self) -> bytes:
        """End the data: complete the last line, then the final dot."""
        if self._tail == b"\r":
            raise LocalProtocolError("content with a bare CR or LF cannot be sent by DATA")
        return _END if self._begun else _END[2:]
