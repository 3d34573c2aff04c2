"""Which hosts to try, in which order (RFC 5321 §5.1, RFC 7505). Pure: DNS answers in, candidates out.

A next hop is a domain (by MX), a literal `[192.0.2.1]`, `[IPv6:2001:db8::1]`, either with `:port`, or `host:port` (A and
AAAA of that host, no MX: the smarthost). Where a rule says that mail cannot go there, the result is the Reply that
says why: 4xx to keep it, 5xx to give it back.
"""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest

from notqmail.config import endpoint
from notqmail.config.outbound import Family
from notqmail.mail.reply import Reply
from notqmail.ports import Answer, DnsStatus, MxRecord, Random

IsUs = Callable[[str], bool]  # a host name or an IP address


@dataclass(frozen=True, slots=True)
class Nexthop:
    """A next hop as read: `literal` is the address when it is one, `by_mx` when the domain's MX decide."""

    host: str
    port: int
    by_mx: bool = False
    literal: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """A mail exchanger and its addresses, in the order DNS gave them."""

    preference: int
    host: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One address to connect to."""

    host: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}[{self.address}]:{self.port}"


def read_nexthop(text: str, port: int) -> Nexthop:
    """Read a Hop's next hop; `port` when it names none. Raises ValueError."""
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not an address literal")
        address = inner[5:] if inner[:5].lower() == "ipv6:" else inner
        if rest:
            port = endpoint(f"x{rest}").port
        return Nexthop(str(ipaddress.ip_address(address)), port, literal=True)
    if ":" in text:
        named = endpoint(text)
        return Nexthop(named.host, named.port, literal=_is_address(named.host))
    return Nexthop(text, port, by_mx=True)


def exchanges(
    domain: str, answer: Answer[MxRecord], is_us: IsUs, random: Random
) -> tuple[Exchange, ...] | Reply:
    """Order the exchangers of a domain, best first, equal ones shuffled (RFC 5321 §5.1); without MX the domain
    is its own (implicit MX)."""
    match answer.status:
        case DnsStatus.TEMPFAIL:
            return Reply(451, "4.4.3", f"cannot look up the MX of {domain} now: {answer.why}")
        case DnsStatus.NXDOMAIN:
            return Reply(550, "5.1.2", f"the domain {domain} does not exist")
        case DnsStatus.NODATA:
            found = [Exchange(0, domain)]
        case DnsStatus.OK:
            # Beside real ones a null MX is an error of that domain and means nothing (RFC 7505 §3).
            found = [Exchange(r.preference, r.exchange) for r in answer.records if r.exchange]
    if not found:
        return Reply(556, "5.1.10", f"{domain} accepts no mail (null MX)")
    return without_us(domain, shuffled(found, random), is_us)


def without_us(domain: str, hosts: Sequence[Exchange], is_us: IsUs) -> tuple[Exchange, ...] | Reply:
    """Drop ourselves and every exchanger that is not better than we are, else mail would go in circles (RFC 5321
    §5.1). By name, and by address where addresses are known."""
    ours = [e.preference for e in hosts if is_us(e.host) or any(map(is_us, e.addresses))]
    if not ours:
        return tuple(hosts)
    better = tuple(e for e in hosts if e.preference < min(ours))
    return better or Reply(554, "5.4.6", f"mail for {domain} loops back to this host")


def shuffled(hosts: Iterable[Exchange], random: Random) -> list[Exchange]:
    """Sort by preference, with equal ones in random order."""
    mixed = list(hosts)
    random.shuffle(mixed)
    mixed.sort(key=lambda exchange: exchange.preference)
    return mixed


def candidates(
    hosts: Iterable[Exchange],
    port: int,
    limit: int,
    *,
    ipv6: bool = True,
    prefer: Family = "either",
) -> tuple[Candidate, ...]:
    """The addresses to try, in order and at most `limit`. Among equal exchangers families alternate, or the preferred
    one comes first; neither family takes more than half of the tries while the other has some left."""
    ordered: list[Candidate] = []
    seen: set[str] = set()
    for _, group in groupby(hosts, key=lambda exchange: exchange.preference):
        families: tuple[list[Candidate], list[Candidate]] = ([], [])
        for exchange in group:
            for address in exchange.addresses:
                version = _usable(address)
                if version and address not in seen and (ipv6 or version == 4):
                    seen.add(address)
                    families[version == 4].append(Candidate(exchange.host, address, port))
        ordered += _in_turn(*families) if prefer == "either" else _first(prefer, *families)
    return _balanced(ordered, limit)


def _in_turn(six: Sequence[Candidate], four: Sequence[Candidate]) -> list[Candidate]:
    return [c for pair in zip_longest(six, four) for c in pair if c is not None]


def _first(prefer: Family, six: Sequence[Candidate], four: Sequence[Candidate]) -> list[Candidate]:
    return [*six, *four] if prefer == "ipv6" else [*four, *six]


def _balanced(ordered: Sequence[Candidate], limit: int) -> tuple[Candidate, ...]:
    if len(ordered) <= limit:
        return tuple(ordered)
    six = sum(":" in c.address for c in ordered)
    quota = {True: min(six, max(limit - (len(ordered) - six), limit // 2))}
    quota[False] = limit - quota[True]
    kept = []
    for candidate in ordered:
        family = ":" in candidate.address
        if quota[family]:
            quota[family] -= 1
            kept.append(candidate)
    return tuple(kept)


def plain_address(address: str) -> str:
    """Give `::ffff:192.0.2.1` as the IPv4 address that it is; anything else as it is."""
    try:
        mapped = ipaddress.IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return address if mapped is None else str(mapped)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _usable(address: str) -> int:
    """The version of an address mail can go to; 0 for 0.0.0.0, ::, multicast, and what is no address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return 0
    return 0 if ip.is_unspecified or ip.is_multicast else ip.version
