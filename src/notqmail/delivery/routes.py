"""Routes: a next hop's hosts with their addresses, by DNS, remembered for a short while.

A route says where to connect and, by its lane, what it shares with others: domains with one set of exchangers are one
destination. Only good answers are remembered, never longer than DNS allows.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from notqmail.config import Outbound
from notqmail.delivery.mx import (
    Candidate,
    Exchange,
    IsUs,
    Nexthop,
    candidates,
    exchanges,
    plain_address,
    read_nexthop,
    shuffled,
    without_us,
)
from notqmail.delivery.terms import Tables, Terms
from notqmail.log import event
from notqmail.mail.hop import Hop
from notqmail.mail.reply import Reply
from notqmail.ports import Answer, Clock, DnsStatus, Random, Resolver

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Route:
    """Where mail for a next hop goes: hosts in order of preference, or `failure`, the reason why it cannot."""

    lane: str
    port: int
    hosts: tuple[Exchange, ...] = ()
    failure: Reply | None = None
    domain: str = ""  # what was looked up: the recipients' domain, or the smarthost
    terms: Terms = field(default_factory=Terms)


class Routes:
    """Finds routes; `candidates` of one are in a new random order each time (RFC 5321 §5.1)."""

    def __init__(  # noqa: PLR0917 - the ports, in the order every transport has them
        self,
        outbound: Outbound,
        tables: Tables,
        resolver: Resolver,
        clock: Clock,
        random: Random,
        is_us: IsUs,
    ) -> None:
        self._outbound = outbound
        self._tables = tables
        self._resolver = resolver
        self._clock = clock
        self._random = random
        self._is_us = is_us
        self._known: OrderedDict[str, tuple[float, Route]] = OrderedDict()

    async def find(self, hop: Hop) -> Route:
        """Give the route to a hop. Raises nothing: trouble is `failure`."""
        known = self._known.get(hop.nexthop)
        if known is not None and known[0] > self._clock.monotonic():
            return known[1]
        found = self._tables.find(hop)
        if not self._tables.knows(hop):
            event(_log, "table-gone", level=logging.WARNING, hop=hop.destination, table=hop.table)
        if isinstance(found, Reply):
            return Route(hop.destination, 0, failure=found)
        terms, target = found
        try:
            nexthop = read_nexthop(target, self._outbound.port)
        except ValueError:
            reply = Reply(451, "4.3.5", f"the next hop {target!r} cannot be read")
            return Route(hop.destination, 0, failure=reply)
        route, ttl = await self._resolve(hop, nexthop)
        route = replace(route, domain=nexthop.host, terms=terms)
        if route.failure is None:
            route = replace(route, lane=terms.lane(route.lane, nexthop.host))
            self._remember(hop.nexthop, route, ttl)
        return route

    def candidates(self, route: Route) -> tuple[Candidate, ...]:
        """The addresses to try now, best first."""
        hosts = shuffled(route.hosts, self._random) if len(route.hosts) > 1 else route.hosts
        outbound, prefer = self._outbound, route.terms.prefer
        return candidates(hosts, route.port, outbound.mx_limit, ipv6=outbound.ipv6, prefer=prefer)

    def _remember(self, nexthop: str, route: Route, ttl: float) -> None:
        age = min(ttl, self._outbound.route_age)
        self._known[nexthop] = (self._clock.monotonic() + age, route)
        self._known.move_to_end(nexthop)
        if len(self._known) > self._outbound.routes:
            self._known.popitem(last=False)

    async def _resolve(self, hop: Hop, nexthop: Nexthop) -> tuple[Route, float]:
        if nexthop.literal:
            host = Exchange(0, nexthop.host, (nexthop.host,))
            return Route(hop.destination, nexthop.port, (host,)), self._outbound.route_age
        ttl: float = self._outbound.route_age
        found: Sequence[Exchange] = (Exchange(0, nexthop.host),)
        if nexthop.by_mx:
            answer = await self._resolver.mx(nexthop.host)
            ordered = exchanges(nexthop.host, answer, self._is_us, self._random)
            if isinstance(ordered, Reply):
                return Route(hop.destination, nexthop.port, failure=ordered), 0
            found = ordered
            if answer.records:
                ttl = answer.ttl
        return await self._with_addresses(hop, nexthop, found, ttl)

    async def _with_addresses(
        self, hop: Hop, nexthop: Nexthop, found: Sequence[Exchange], ttl: float
    ) -> tuple[Route, float]:
        tried = found[: self._outbound.mx_limit]
        answers = await asyncio.gather(*(self._addresses(e.host) for e in tried))
        hosts = tuple(
            replace(exchange, addresses=tuple(map(plain_address, answer.records)))
            for exchange, answer in zip(tried, answers, strict=True)
            if answer.records
        )
        if not hosts:
            reply = _no_address(nexthop, found, answers)
            return Route(hop.destination, nexthop.port, failure=reply), 0
        kept = without_us(nexthop.host, hosts, self._is_us) if nexthop.by_mx else hosts
        if isinstance(kept, Reply):
            return Route(hop.destination, nexthop.port, failure=kept), 0
        ttl = min(ttl, *(answer.ttl for answer in answers if answer.records))
        return Route(_lane(found, nexthop.port), nexthop.port, kept), ttl

    async def _addresses(self, host: str) -> Answer[str]:
        literal = _as_address(host)  # an MX that is an address is wrong, and meant
        if literal:
            return Answer(DnsStatus.OK, (literal,), int(self._outbound.route_age))
        return await self._resolver.addresses(host, 0 if self._outbound.ipv6 else 4)


def _no_address(
    nexthop: Nexthop, found: Sequence[Exchange], answers: Sequence[Answer[str]]
) -> Reply:
    names = ", ".join(exchange.host for exchange in found[:3])
    for answer in answers:
        if answer.status is DnsStatus.TEMPFAIL:
            return Reply(451, "4.4.3", f"cannot look up the address of {names} now: {answer.why}")
    if not nexthop.by_mx:  # our own configuration is to blame, not the message
        return Reply(451, "4.3.5", f"the configured next hop {nexthop.host} has no address")
    return Reply(550, "5.4.4", f"no mail server of {nexthop.host} has an address ({names})")


def _as_address(host: str) -> str:
    try:
        nexthop = read_nexthop(f"[{host}]", 0)
    except ValueError:
        return ""
    return nexthop.host


def _lane(hosts: Sequence[Exchange], port: int) -> str:
    return f"smtp:{','.join(sorted(exchange.host for exchange in hosts))}:{port}"
