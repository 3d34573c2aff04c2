"""DNS for tests: zones as data, a server that speaks them on loopback, and a resolver that needs no socket.

    zones = Zones({
        "example.org": {"MX": ["10 mx1.example.org", "20 mx2.example.org"]},
        "mx1.example.org": {"A": "192.0.2.1", "AAAA": "2001:db8::1"},
        "alias.example.org": {"CNAME": "mx1.example.org"},
        "nomail.example": {"MX": "0 ."},              # the null MX
        "192.0.2.1": {"PTR": "mx1.example.org"},      # an address names its reverse zone
        "broken.example": Fault.SERVFAIL,             # every type of this name
        "half.example": {"A": "192.0.2.9", "AAAA": Fault.TIMEOUT},
    })
    async with DnsServer(zones) as server:            # UDP and TCP on 127.0.0.1:server.port
        resolver = AiodnsResolver(Dns(servers=(server.address,)), clock)
    resolver = ZoneResolver(zones)                    # the same answers at once

The text form has one `name TYPE data` or `name FAULT` per line. A name that is not there is NXDOMAIN; one with
other types only, or only with names below it, is NODATA. Answers larger than the client's UDP size are truncated,
so the client comes again over TCP; `truncate` does so for every answer.
"""

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import TypeVar, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from notqmail.mail.errors import AddressError
from notqmail.mail.idn import canonical_domain
from notqmail.ports import Answer, DnsStatus, MxRecord

R = TypeVar("R")

_MAX_CHAIN = 8


class Fault(StrEnum):
    """What can go wrong with a look-up. NXDOMAIN is for a name that has names below it."""

    SERVFAIL = "SERVFAIL"
    REFUSED = "REFUSED"
    TIMEOUT = "TIMEOUT"
    NXDOMAIN = "NXDOMAIN"


_RCODES = {
    Fault.SERVFAIL: dns.rcode.SERVFAIL,
    Fault.REFUSED: dns.rcode.REFUSED,
    Fault.NXDOMAIN: dns.rcode.NXDOMAIN,
}

Data = str | Sequence[str] | Fault
ZoneData = Mapping[str, Mapping[str, Data] | Fault]


@dataclass(frozen=True, slots=True)
class Found:
    """What the zones say: `chain` is the answer section, CNAMEs first; `fault` None or what goes wrong."""

    chain: tuple[tuple[str, str, tuple[str, ...]], ...] = ()  # (owner, type, data)
    fault: Fault | None = None

    def data(self, kind: str) -> tuple[str, ...]:
        """The data of the records of this type."""
        return tuple(text for _, found, texts in self.chain if found == kind for text in texts)


class Zones:
    """Records by name and type; may be changed while a server or resolver uses it."""

    def __init__(self, data: ZoneData | str, *, ttl: int = 300) -> None:
        self.ttl = ttl
        self._names: dict[str, Mapping[str, Data] | Fault] = {}
        self.update(parse_zone(data) if isinstance(data, str) else data)

    def update(self, data: ZoneData) -> None:
        """Set names anew; other names stay."""
        self._names.update({_key(name): records for name, records in data.items()})

    def look_up(self, name: str, kind: str) -> Found:
        """Answer one question, following CNAMEs."""
        chain: list[tuple[str, str, tuple[str, ...]]] = []
        for _ in range(_MAX_CHAIN):
            records = self._names.get(name)
            if isinstance(records, Fault):
                return Found(tuple(chain), records)
            if records is None:
                below = any(known.endswith(f".{name}") for known in self._names)
                return Found(tuple(chain), None if below else Fault.NXDOMAIN)
            data = records.get(kind, ())
            if isinstance(data, Fault):
                return Found(tuple(chain), data)
            if not data and kind != "CNAME" and (target := records.get("CNAME")):
                alias = _texts(target)[0]
                chain.append((name, "CNAME", (alias,)))
                name = _key(alias)
                continue
            if data:
                chain.append((name, kind, _texts(data)))
            return Found(tuple(chain))
        return Found(tuple(chain), Fault.SERVFAIL)


def parse_zone(text: str) -> ZoneData:
    """Read the text form."""
    names: dict[str, dict[str, Data] | Fault] = {}
    for line in text.splitlines():
        words = line.split(None, 2)
        if not words or words[0].startswith(";"):
            continue
        if len(words) == 2:
            names[words[0]] = Fault(words[1])
            continue
        name, kind, data = words
        records = names.setdefault(name, {})
        assert isinstance(records, dict), f"{name} is a fault already"
        known = records.get(kind, ())
        if data in Fault.__members__:
            records[kind] = Fault(data)
        else:
            records[kind] = [*_texts(known), data]
    return names


def _texts(data: Data) -> tuple[str, ...]:
    return (data,) if isinstance(data, str) else tuple(data)


def _key(name: str) -> str:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name).reverse_pointer
    return name.rstrip(".").lower()


class DnsServer:
    """An authoritative-looking recursive server on a loopback address, UDP and TCP on one port (0: one that is free).

    `secure` are names whose answers carry AD ("*" for all), `queries` counts `"name TYPE"` as asked.
    """

    def __init__(
        self,
        zones: Zones | ZoneData | str,
        *,
        secure: Collection[str] = (),
        truncate: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.zones = zones if isinstance(zones, Zones) else Zones(zones)
        self.queries: Counter[str] = Counter()
        self.tcp_queries = 0
        self.host = host
        self.port = port
        self._secure = frozenset(secure)
        self._truncate = truncate
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        """What `[dns] servers` wants."""
        return f"{self.host}:{self.port}"

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        udp, tcp = _socket_pair(self.host, self.port)
        self.port = int(tcp.getsockname()[1])
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), sock=udp)
        self._tcp = await asyncio.start_server(self._serve_tcp, sock=tcp)

    async def stop(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
            for writer in tuple(self._clients):
                writer.close()
            await self._tcp.wait_closed()

    async def __aenter__(self) -> "DnsServer":
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def respond(self, wire: bytes, *, udp: bool) -> bytes | None:
        """Answer one query; None is silence."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.queries[f"{name} {kind}"] += 1
        self.tcp_queries += not udp
        found = self.zones.look_up(name, kind)
        if found.fault is Fault.TIMEOUT:
            return None
        return self._wire(query, name, found, udp=udp)

    def _wire(
        self, query: dns.message.Message, name: str, found: Found, *, udp: bool
    ) -> bytes | None:
        response = dns.message.make_response(query, recursion_available=True)
        if found.fault is not None:
            response.set_rcode(_RCODES[found.fault])
        for owner, kind, texts in found.chain:
            response.answer.append(_rrset(owner, self.zones.ttl, kind, texts))
        if self._secure & {"*", name}:
            response.flags |= dns.flags.AD
        wire = response.to_wire(max_size=65535)
        if udp and (self._truncate or len(wire) > max(512, query.payload)):
            response.answer.clear()
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        return wire

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while True:
                (size,) = struct.unpack("!H", await reader.readexactly(2))
                wire = self.respond(await reader.readexactly(size), udp=False)
                if wire is not None:
                    writer.write(struct.pack("!H", len(wire)) + wire)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._clients.discard(writer)
            writer.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # no subclass of it in 3.11

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        wire = self._server.respond(data, udp=True)
        if wire is not None and self._transport is not None:
            self._transport.sendto(wire, addr)


def _socket_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on one port of a loopback address, on a free one when `port` is 0."""
    for _ in range(50):
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            tcp.bind((host, port))
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
            continue
        for each in (tcp, udp):
            each.setblocking(False)
        return udp, tcp
    raise OSError(
        f"{host}: {f'port {port} is not' if port else 'no port'} free for both UDP and TCP"
    )


def _rrset(owner: str, ttl: int, kind: str, texts: Sequence[str]) -> dns.rrset.RRset:
    rdtype = dns.rdatatype.from_text(kind)
    rdatas = [
        dns.rdata.from_text(dns.rdataclass.IN, rdtype, text, dns.name.root, relativize=False)
        for text in texts
    ]
    return dns.rrset.from_rdata_list(dns.name.from_text(owner), ttl, rdatas)


class ZoneResolver:
    """ports.Resolver on zones, without packets. `queries` counts `"name TYPE"` as asked; names in `secure`
    ("*" for all) have answers with AD."""

    def __init__(self, zones: Zones | ZoneData | str, *, secure: Collection[str] = ()) -> None:
        self.zones = zones if isinstance(zones, Zones) else Zones(zones)
        self.queries: Counter[str] = Counter()
        self._secure = frozenset(secure)

    async def mx(self, name: str) -> Answer[MxRecord]:
        """See ports.Resolver."""
        status, texts = self._ask(name, "MX")
        pairs = [text.split() for text in texts]
        return self._answer(
            name, status, tuple(MxRecord(int(p), x.rstrip(".").lower()) for p, x in pairs)
        )

    async def addresses(self, name: str, family: int = 0) -> Answer[str]:
        """See ports.Resolver."""
        kinds = [kind for kind, number in (("AAAA", 6), ("A", 4)) if family in (0, number)]
        asked = [self._ask(name, kind) for kind in kinds]
        records = tuple(text for _, texts in asked for text in texts)
        if records:
            return self._answer(name, DnsStatus.OK, records)
        statuses = [status for status, _ in asked]
        order = (DnsStatus.TEMPFAIL, DnsStatus.NODATA, DnsStatus.NXDOMAIN)
        return self._answer(name, next(s for s in order if s in statuses), ())

    async def txt(self, name: str) -> Answer[bytes]:
        """See ports.Resolver. Data in the zone is in presentation form: quoted strings, or plain text."""
        status, texts = self._ask(name, "TXT")
        records = []
        for text in texts:
            (rdata,) = _rrset("x", 0, "TXT", [text])
            records.append(b"".join(rdata.strings))
        return self._answer(name, status, tuple(records))

    async def ptr(self, address: str) -> Answer[str]:
        """See ports.Resolver."""
        try:
            name = ipaddress.ip_address(address).reverse_pointer
        except ValueError:
            return Answer(DnsStatus.NXDOMAIN, why=f"{address!r} is not an address")
        status, texts = self._ask(name, "PTR")
        return self._answer(name, status, tuple(text.rstrip(".").lower() for text in texts))

    async def close(self) -> None:
        """Nothing is open."""

    def _answer(self, name: str, status: DnsStatus, records: tuple[R, ...]) -> Answer[R]:
        secure = bool(self._secure & {"*", _key(name)})
        why = "" if records else f"{status} for {name}"
        return Answer(status, records, self.zones.ttl if records else 0, secure, why)

    def _ask(self, name: str, kind: str) -> tuple[DnsStatus, tuple[str, ...]]:
        name = name.rstrip(".").lower()
        if not name.isascii():
            try:
                name = canonical_domain(name)
            except AddressError:
                return DnsStatus.NXDOMAIN, ()
        self.queries[f"{name} {kind}"] += 1
        found = self.zones.look_up(name, kind)
        if found.fault is Fault.NXDOMAIN:
            return DnsStatus.NXDOMAIN, ()
        if found.fault is not None:
            return DnsStatus.TEMPFAIL, ()
        texts = found.data(kind)
        return (DnsStatus.OK if texts else DnsStatus.NODATA), texts
