"""What a fuzzer gives: octets, read from the front as choices, then as one text, several texts, or a cut stream.

The form is plain, so that corpus files can be written and read by people: a choice is one octet, texts stand
between RECORD octets, and a stream is preceded by the number of its cuts (one octet, modulo 8) and the gaps between
them (one octet each).
"""

from collections.abc import Sequence

RECORD = b"\x1e"  # ASCII's record separator
MAX_CUTS = 8


class Given:
    """Reads one input; what is not there reads as zero or as nothing."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, below: int = 256) -> int:
        """Take one octet as a number less than `below`."""
        octet = self._data[self._at : self._at + 1]
        self._at += len(octet)
        return octet[0] % below if octet else 0

    def flag(self) -> bool:
        """Take one octet as a yes or no."""
        return self.number(2) == 1

    def rest(self) -> bytes:
        """Take all that is left."""
        rest, self._at = self._data[self._at :], len(self._data)
        return rest

    def text(self) -> str:
        """Take all that is left as text; what is no UTF-8 becomes U+FFFD."""
        return self.rest().decode("utf-8", "replace")

    def texts(self, count: int) -> Sequence[str]:
        """Take all that is left as so many texts."""
        parts = self.rest().split(RECORD, count - 1)
        parts += [b""] * (count - len(parts))
        return [part.decode("utf-8", "replace") for part in parts]

    def pieces(self) -> Sequence[bytes]:
        """Take all that is left as a stream that came in pieces; some may be empty."""
        gaps = [self.number() for _ in range(self.number(MAX_CUTS))]
        stream, pieces = self.rest(), []
        for gap in gaps:
            pieces.append(stream[:gap])
            stream = stream[gap:]
        return [*pieces, stream]
