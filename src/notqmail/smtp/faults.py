"""What is wrong with the octets of a message: bare CR, bare LF, lines over the limit (RFC 5321 §2.3.8, §4.5.3.1.6).

Faults are noted, never acted on: reading goes on to the end of the data, and the message is refused there.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Faults:
    """`nul` is no fault of the transport, but only BINARYMIME may carry it (RFC 2045 §2.8)."""

    bare_lf: bool = False
    bare_cr: bool = False
    long_line: bool = False
    nul: bool = False


class FaultFinder:
    """Looks at content piece by piece. A piece must not end between CR and LF. `max_line` is octets with CRLF.

    Every test runs over the whole piece in C: there is no loop per line.
    """

    def __init__(self, max_line: int) -> None:
        self.faults = Faults()
        self._max_line = max_line
        self._line = 0  # octets of the unfinished line in earlier pieces

    def look(self, piece: bytes) -> bool:
        """Note bare CR, bare LF and NUL in the next piece; say whether there was a bare LF."""
        faults = self.faults
        rest = piece.replace(b"\r\n", b"")
        if b"\r" in rest:
            faults.bare_cr = True
        if b"\0" in rest:
            faults.nul = True
        if b"\n" in rest:
            faults.bare_lf = True
            return True
        return False

    def measure(self, piece: bytes) -> None:
        """Note a line over the limit: from a line's start, the last LF within the limit ends the last good line."""
        if self.faults.long_line:
            return
        limit, size, start = self._max_line, len(piece), -self._line
        while size - start >= limit:
            at = piece.rfind(b"\n", max(start, 0), start + limit)
            if at < 0:
                self.faults.long_line = True
                return
            start = at + 1
        self._line = size - (piece.rfind(b"\n", max(start, 0)) + 1 or start)
