"""The resolver: ports.Resolver on aiodns (c-ares).

c-ares follows CNAMEs, comes again over TCP when an answer was truncated, and caches by TTL. What it adds here:
results as values, names in one form, bounds, one time limit over all tries, and one query for all who ask the
same thing at the same moment. It never looks at the hosts file or a search list (`getaddrinfo` of c-ares does).
"""

import asyncio
import ipaddress
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import aiodns
import aiodns.error
import pycares

from notqmail.config import Dns
from notqmail.mail.errors import AddressError
from notqmail.mail.idn import canonical_domain
from notqmail.ports import Answer, Clock, DnsStatus, MxRecord

R = TypeVar("R")

_TRIES = 3  # c-ares doubles the wait from try to try: 1 + 2 + 4 parts of the whole
_PARTS = 7
# Any printable character may be part of a name (SPF macros make them), but for c-ares a backslash escapes.
_LABELS = re.compile(r"(?:[!-\-/-\[\]-~]{1,63})(?:\.[!-\-/-\[\]-~]{1,63})*")
_MAX_NAME = 253

# LIBRARIES: errors of c-ares that are an answer; every other one may pass (SERVFAIL, REFUSED, timeout, …).
_ANSWERS = {
    aiodns.error.ARES_ENODATA: DnsStatus.NODATA,
    aiodns.error.ARES_ENOTFOUND: DnsStatus.NXDOMAIN,
    aiodns.error.ARES_EBADNAME: DnsStatus.NXDOMAIN,
    aiodns.error.ARES_EBADQUERY: DnsStatus.NXDOMAIN,
}
_TYPES = {
    "A": pycares.QUERY_TYPE_A,
    "AAAA": pycares.QUERY_TYPE_AAAA,
    "MX": pycares.QUERY_TYPE_MX,
    "PTR": pycares.QUERY_TYPE_PTR,
    "TXT": pycares.QUERY_TYPE_TXT,
}


class AiodnsResolver:
    """DNS through the servers of `[dns]`. Make it where a loop runs; `close` it there."""

    def __init__(self, config: Dns, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._resolver = aiodns.DNSResolver(
            nameservers=config.servers or None,
            timeout=max(config.timeout / _PARTS, 0.05),
            tries=_TRIES,
        )
        self._flights: dict[tuple[str, str], asyncio.Task[Answer[Any]]] = {}

    async def mx(self, name: str) -> Answer[MxRecord]:
        """See ports.Resolver."""
        return await self._look_up(name, "MX", lambda d: MxRecord(d.priority, _name(d.exchange)))

    async def addresses(self, name: str, family: int = 0) -> Answer[str]:
        """See ports.Resolver. With one family answered, trouble with the other is no trouble."""
        if family:
            return await self._addresses(name, "AAAA" if family == 6 else "A")
        six, four = await asyncio.gather(self._addresses(name, "AAAA"), self._addresses(name, "A"))
        return _merge(six, four)

    async def txt(self, name: str) -> Answer[bytes]:
        """See ports.Resolver. The strings of one record are joined; records come in any order."""
        return await self._look_up(name, "TXT", lambda d: d.data)

    async def ptr(self, address: str) -> Answer[str]:
        """See ports.Resolver."""
        try:
            name = ipaddress.ip_address(address).reverse_pointer
        except ValueError:
            return Answer(DnsStatus.NXDOMAIN, why=f"{address!r} is not an IP address")
        return await self._look_up(name, "PTR", lambda d: _name(d.dname))

    async def close(self) -> None:
        """End what is under way (TEMPFAIL) and the threads of c-ares."""
        await self._resolver.close()
        if self._flights:
            await asyncio.wait(self._flights.values())

    def _addresses(self, name: str, kind: str) -> Awaitable[Answer[str]]:
        return self._look_up(name, kind, lambda d: d.addr)

    async def _look_up(self, name: str, kind: str, read: Callable[[Any], R]) -> Answer[R]:
        query = _query_name(name)
        if query is None:
            return Answer(DnsStatus.NXDOMAIN, why=f"{name[:300]!r} is not a domain name")
        key = (query, kind)
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._fly(query, kind, read), name=f"dns {kind} {query}")
            self._flights[key] = flight
            flight.add_done_callback(lambda _: self._flights.pop(key, None))
        return await asyncio.shield(
            flight
        )  # one asker that gives up must not take it from the others

    async def _fly(self, name: str, kind: str, read: Callable[[Any], R]) -> Answer[R]:
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._config.timeout):
                result = await self._resolver.query_dns(name, kind)
        except TimeoutError:
            waited = self._clock.monotonic() - started
            return Answer(DnsStatus.TEMPFAIL, why=f"{kind} of {name}: no answer in {waited:.0f} s")
        except aiodns.error.DNSError as error:
            return _failed(name, kind, error)
        return _answer(name, kind, result.answer[: self._config.records], read)


def _answer(
    name: str, kind: str, section: Sequence[pycares.DNSRecord], read: Callable[[Any], R]
) -> Answer[R]:
    """Keep the records of the type asked for; CNAMEs on the way only bound the TTL."""
    records = tuple(read(record.data) for record in section if record.type == _TYPES[kind])
    if not records:
        return Answer(DnsStatus.NODATA, why=f"{kind} of {name}: no such record")
    return Answer(DnsStatus.OK, records, min(record.ttl for record in section))


def _failed(name: str, kind: str, error: aiodns.error.DNSError) -> Answer[Any]:
    number, text = error.args
    status = _ANSWERS.get(number, DnsStatus.TEMPFAIL)
    return Answer(status, why=f"{kind} of {name}: {text}")


def _merge(six: Answer[str], four: Answer[str]) -> Answer[str]:
    found = [answer for answer in (six, four) if answer.status is DnsStatus.OK]
    if found:
        records = tuple(record for answer in found for record in answer.records)
        return Answer(DnsStatus.OK, records, min(answer.ttl for answer in found))
    for status in (DnsStatus.TEMPFAIL, DnsStatus.NODATA):
        for answer in (four, six):
            if answer.status is status:
                return answer
    return four


def _query_name(name: str) -> str | None:
    """The name as it is asked for, or None when DNS cannot have it."""
    name = name.removesuffix(".").lower()
    if not name.isascii():
        try:
            return canonical_domain(name)
        except AddressError:
            return None
    if len(name) > _MAX_NAME or _LABELS.fullmatch(name) is None:
        return None
    return name


def _name(name: str) -> str:
    return name.removesuffix(".").lower()
