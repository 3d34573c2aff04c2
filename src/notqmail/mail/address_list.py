"""The addresses in a header field: To, Cc, Bcc, From (RFC 5322 §3.4, with the obsolete forms of §4.4).

A reader for what people and programs really write: one linear pass, no recursion, nothing decoded (an encoded
word is never an address), and every item it cannot read is reported rather than guessed at or dropped.
"""

import re
from dataclasses import dataclass, field

from notqmail.mail.address import Address
from notqmail.mail.errors import AddressError

# a quoted string, a domain literal, one special, a run of anything else, an escaped octet (so that a quote left open is
# searched to the end once, not at each quote after it), a quote or bracket left open
_PIECE = re.compile(
    r'"(?:[^"\\]|\\.)*"|\[[^\[\]\\"]*\]|[()<>,;:]|[^"\\\[\]()<>,;:]+|\\.|.', re.DOTALL
)
_IN_COMMENT = re.compile(r"[()]|\\.|[^()\\]+|.", re.DOTALL)
_SPECIAL = re.compile(r"([.@])")
_DEEPER = {"(": 1, ")": -1}


@dataclass(frozen=True, slots=True)
class AddressList:
    """What a field names. `unreadable` are the items that are no address, as written, controls as `?`; `ambiguous` are
    those in which other readers may see another address than is named: in the place of a name, a group's name or a
    source route."""

    addresses: tuple[Address, ...]
    unreadable: tuple[str, ...]
    ambiguous: tuple[str, ...] = ()


@dataclass(slots=True)
class _Item:
    """One element of the list while it is read: what stands before, in and after its angle brackets."""

    words: list[str] = field(default_factory=list)
    angle: list[str] | None = None
    angle_open: bool = False
    written: list[str] = field(default_factory=list)
    broken: bool = False
    group: bool = False  # it is a group's name

    def take(self, piece: str) -> None:
        self.written.append(piece)
        self.broken |= piece == '"'  # a quote left open: what it was to hold is not known
        if piece == "<":
            self.broken |= self.angle is not None
            self.angle, self.angle_open = [], True
        elif piece == ">":
            self.broken |= not self.angle_open
            self.angle_open = False
        elif self.angle_open and self.angle is not None:
            self.angle.append(piece)
        else:
            self.broken |= self.angle is not None and bool(piece.strip())
            self.words.append(piece)

    def ambiguous(self, address: Address | None) -> bool:
        """Say whether something else than `address` could be taken for one."""
        beside = "".join(word for word in self.words if not word.startswith('"'))
        if self.group:
            return self.angle is not None or "@" in beside
        if self.angle is None:
            return False
        if _without_route(self.angle) is not self.angle:
            return True
        return "@" in beside and _close_up(self.words).lower() != str(address).lower()

    def address(self, domain: str) -> Address | None:
        if self.broken or self.angle_open:
            return None
        spec = _close_up(self.words if self.angle is None else _without_route(self.angle))
        if domain and spec and not _has_domain(spec):
            spec = f"{spec}@{domain}"
        try:
            return Address.parse(spec)
        except (AddressError, UnicodeEncodeError):
            return None


def read_addresses(value: bytes, domain: str = "") -> AddressList:
    """Read a field's unfolded value. A local part alone gets `domain`; without one it is unreadable.

    A group counts by its members: `undisclosed-recipients:;` names nobody.
    """
    found: list[Address] = []
    unreadable: list[str] = []
    ambiguous: list[str] = []
    for item in _items(value.decode("utf-8", "surrogateescape")):
        address = None if item.group else item.address(domain)
        written = "".join(c if c.isprintable() else "?" for c in "".join(item.written).strip())
        if address is not None:
            found.append(address)
        elif written and not item.group:
            unreadable.append(written)
        if item.ambiguous(address):
            ambiguous.append(written)
    return AddressList(tuple(found), tuple(unreadable), tuple(ambiguous))


def _items(text: str) -> list[_Item]:
    """Split at the commas, semicolons and group names outside quotes, comments and angle brackets."""
    items = [_Item()]
    at, depth = 0, 0
    while match := (_IN_COMMENT if depth else _PIECE).match(text, at):
        piece, at = match[0], match.end()
        item = items[-1]
        if depth or piece == "(":
            depth += _DEEPER.get(piece, 0)
        elif item.angle_open or piece not in {",", ";", ":"}:
            item.take(piece)
        elif piece == ":":
            item.group = True
            items.append(_Item())
        else:
            items.append(_Item())
    if depth:
        items[-1].broken = True
        items[-1].written.append("(")
    return items


def _without_route(pieces: list[str]) -> list[str]:
    """Drop a source route, `@a,@b:` (RFC 5322 §4.4 obs-route)."""
    if pieces and pieces[0].lstrip().startswith("@") and ":" in pieces:
        return pieces[pieces.index(":") + 1 :]
    return pieces


def _close_up(pieces: list[str]) -> str:
    """Join without the white space that may stand around dots and the @ (RFC 5322 §4.4)."""
    closed = (
        piece
        if piece.startswith('"')
        else "".join(part.strip(" \t\r\n") for part in _SPECIAL.split(piece))
        if _SPECIAL.search(piece)
        else piece
        for piece in pieces
    )
    return "".join(closed).strip(" \t\r\n")


def _has_domain(spec: str) -> bool:
    return "@" in (spec.rpartition('"')[2] if spec.startswith('"') else spec)
