"""What a message asks of the next hop, seen from its octets: is anything in it beyond US-ASCII, and where."""

from dataclasses import dataclass

from notqmail.mail.header import END, MAX_HEADER, header_end


@dataclass(frozen=True, slots=True)
class Traits:
    """`eightbit_header`: octets above 127 in the header (RFC 6532, or nothing legal at all); `eightbit`: anywhere
    (RFC 6152)."""

    eightbit_header: bool = False
    eightbit: bool = False


ASCII = Traits()


def traits_of(content: bytes) -> Traits:
    """Look at content held whole."""
    if content.isascii():
        return ASCII
    return Traits(not content[: header_end(content)].isascii(), True)


class TraitScanner:
    """Looks at content in pieces; holds at most MAX_HEADER octets, what is beyond them counts as body."""

    def __init__(self) -> None:
        self._held: bytes | None = b""  # the header so far; None when it has ended
        self._traits = ASCII

    @property
    def traits(self) -> Traits:
        """What has been seen so far."""
        if self._held is None:
            return self._traits
        return traits_of(self._held)

    @property
    def header_seen(self) -> bool:
        """True when the header has ended."""
        return self._held is None

    @property
    def settled(self) -> bool:
        """True when no further octet can change the result."""
        return self._held is None and self._traits.eightbit

    def feed(self, chunk: bytes) -> None:
        """Take the next octets."""
        if self._held is None:
            if not self._traits.eightbit and not chunk.isascii():
                self._traits = Traits(self._traits.eightbit_header, True)
            return
        self._held += chunk
        if self._held.startswith(b"\r\n") or END in self._held or len(self._held) > MAX_HEADER:
            self._traits, self._held = traits_of(self._held), None
