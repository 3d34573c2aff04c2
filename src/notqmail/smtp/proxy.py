"""The PROXY protocol's header, versions 1 and 2: who the client behind a proxy is (haproxy's doc/proxy-protocol.txt).

    v1   PROXY TCP4 192.0.2.1 198.51.100.2 40000 25 CRLF     a line of at most 107 octets
    v2   12 octets of signature, version and command, family, length, addresses, TLVs

The header stands before everything else, TLS too, and comes in any number of pieces. It is read only from proxies
that are listed, and they must send it. A header may say that there is nobody behind it: a proxy's own health check
(LOCAL), or a client whose address has no form here (UNKNOWN, UNSPEC, a Unix socket); then the connection's own ends
count. TLVs are ignored, the checksum among them; they only have to fit into MAX_V2.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Final

from notqmail.mail.network import plain_address

MAX_V1: Final = 107  # octets with CRLF, §2.1
MAX_V2: Final = 2048  # octets with the signature; the addresses need 52 or 232, the rest is TLVs

_V1: Final = b"PROXY "
_V2: Final = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED: Final = 16  # octets of a v2 header before its addresses
_LOCAL, _PROXY = 0x20, 0x21  # version 2 and the command
# §2.2: TCP over IPv4 and IPv6; what has no form here, UNSPEC and a Unix stream; datagrams do not come this way
_FORMS: Final[Mapping[int, tuple[type[IPv4Address | IPv6Address] | None, Struct]]] = {
    0x11: (IPv4Address, Struct("!4s4sHH")),
    0x21: (IPv6Address, Struct("!16s16sHH")),
    0x00: (None, Struct("")),
    0x31: (None, Struct("216x")),
}
_PORT = r"(0|[1-9][0-9]{0,4})"
_LINE: Final = re.compile(rf"PROXY TCP([46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) {_PORT} {_PORT}")


@dataclass(frozen=True, slots=True)
class Ends:
    """Both ends of the connection that the proxy took, as the client saw it; IPv4 where it is mapped."""

    source: str
    source_port: int
    destination: str
    destination_port: int


@dataclass(frozen=True, slots=True)
class Header:
    """A header that was understood, and the octets after it. `ends` None: nobody stands behind the proxy."""

    ends: Ends | None
    rest: bytes


@dataclass(frozen=True, slots=True)
class Malformed:
    """No header: the connection must be cut. `why` is in our words, never the peer's."""

    why: str


class ProxyReader:
    """Takes the first octets of a connection until a header is whole or cannot become one."""

    def __init__(self) -> None:
        self._octets = bytearray()

    def feed(self, octets: bytes) -> Header | Malformed | None:
        """Take more; None asks for more. After an answer there is nothing left to ask."""
        self._octets += octets
        begun = bytes(self._octets[:MAX_V2])
        if begun.startswith(_V1[: len(begun)]):
            return self._line(begun)
        if begun.startswith(_V2[: len(begun)]):
            return self._binary(begun)
        return Malformed("it does not begin with a PROXY header")

    def _line(self, begun: bytes) -> Header | Malformed | None:
        line, end, _ = begun[:MAX_V1].partition(b"\r\n")
        if not end:
            too_long = len(begun) >= MAX_V1
            return Malformed(f"its PROXY line is longer than {MAX_V1} octets") if too_long else None
        ends = _ends_of_line(line)
        return ends if isinstance(ends, Malformed) else self._found(ends, len(line) + 2)

    def _binary(self, begun: bytes) -> Header | Malformed | None:
        if len(begun) < _FIXED:
            return None
        command, family = begun[12], begun[13]
        size = int.from_bytes(begun[14:_FIXED])
        if command not in (_LOCAL, _PROXY):
            return Malformed("its PROXY header has another version or command")
        if _FIXED + size > MAX_V2:
            return Malformed(f"its PROXY header is longer than {MAX_V2} octets")
        if len(begun) < _FIXED + size:
            return None
        block = begun[_FIXED : _FIXED + size]
        ends = None if command == _LOCAL else _ends_of_block(family, block)
        return ends if isinstance(ends, Malformed) else self._found(ends, _FIXED + size)

    def _found(self, ends: Ends | None, size: int) -> Header:
        return Header(ends, bytes(self._octets[size:]))


def _ends_of_line(line: bytes) -> Ends | Malformed | None:
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):  # what follows is ignored
        return None
    match = _LINE.fullmatch(line.decode("latin-1"))
    if match is None:
        return Malformed("its PROXY line is not in the form of version 1")
    kind = IPv4Address if match[1] == "4" else IPv6Address
    source_port, destination_port = int(match[4]), int(match[5])
    try:
        source, destination = str(kind(match[2])), str(kind(match[3]))
    except ValueError:
        return Malformed("its PROXY line has no address where one belongs")
    if max(source_port, destination_port) > 65535:
        return Malformed("its PROXY line has a port above 65535")
    return Ends(plain_address(source), source_port, plain_address(destination), destination_port)


def _ends_of_block(family: int, block: bytes) -> Ends | Malformed | None:
    if family not in _FORMS:
        return Malformed("its PROXY header has another family or protocol")
    kind, form = _FORMS[family]
    if len(block) < form.size:
        return Malformed("its PROXY header is too short for its addresses")
    if kind is None:
        return None
    source, destination, source_port, destination_port = form.unpack_from(block)
    source, destination = str(kind(source)), str(kind(destination))
    return Ends(plain_address(source), source_port, plain_address(destination), destination_port)
