"""What is wrong with content that came in chunks (RFC 3030): the checks of DATA without its transparency."""

from notqmail.smtp.faults import FaultFinder, Faults


class ChunkChecker:
    """Looks at the content of BDAT, cut anywhere; call `finish` after the last chunk. `max_line` is octets with CRLF."""

    def __init__(self, max_line: int) -> None:
        self._finder = FaultFinder(max_line)
        self._cr = False  # the last octet was a CR, not yet looked at
        self._end = b"\r\n"

    @property
    def faults(self) -> Faults:
        """What is wrong with the content so far; complete after `finish`."""
        return self._finder.faults

    @property
    def line_ended(self) -> bool:
        """True when the content so far is empty or ends in CRLF."""
        return self._end == b"\r\n"

    def feed(self, octets: bytes) -> None:
        """Look at the next octets."""
        self._end = (self._end + octets)[-2:] if len(octets) < 2 else octets[-2:]
        if self._cr:
            octets = b"\r" + octets
        self._cr = octets.endswith(b"\r")
        self._look(octets[:-1] if self._cr else octets)

    def finish(self) -> Faults:
        """The content has ended: give what is wrong with it."""
        if self._cr:
            self._cr = False
            self._look(b"\r")
        return self._finder.faults

    def _look(self, piece: bytes) -> None:
        self._finder.look(piece)
        self._finder.measure(piece)
