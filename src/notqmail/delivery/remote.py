"""The transport to other servers: by MX, to a literal, or through a smarthost.

One `deliver` is one attempt: route, idle session or hosts in order, one outcome per recipient. Sessions are kept for a
moment and shared by what has one lane. Whatever a peer does is an outcome; it never loses mail and never raises.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from notqmail.config import Outbound
from notqmail.delivery.attempt import Attempt
from notqmail.delivery.parcel import Packer
from notqmail.delivery.routes import Route, Routes
from notqmail.delivery.sessions import Sessions
from notqmail.delivery.terms import Tables
from notqmail.delivery.tls import Contexts
from notqmail.delivery.tls_memory import TlsMemory
from notqmail.mail.entry import Entry
from notqmail.mail.errors import SpoolError
from notqmail.mail.hop import Hop
from notqmail.mail.idn import canonical_domain
from notqmail.mail.outcome import Outcome
from notqmail.mail.reply import Reply
from notqmail.ports import Clock, Random, Resolver

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Setup:
    """What follows from one configuration."""

    outbound: Outbound
    routes: Routes
    sessions: Sessions


class RemoteTransport:
    """ports.Transport by SMTP. `hostname` is our name in EHLO; `is_us` says whether a host name or an IP address is
    ours, for the loop rule of RFC 5321 §5.1. Making one reads the files that the configuration names: not in the event
    loop. Raises ConfigError."""

    def __init__(  # noqa: PLR0917 - the ports, in the order every transport has them
        self,
        outbound: Outbound,
        hostname: str,
        resolver: Resolver,
        clock: Clock,
        random: Random,
        is_us: Callable[[str], bool],
        memory: TlsMemory | None = None,
    ) -> None:
        self._hostname = canonical_domain(hostname)
        self._resolver, self._clock, self._random, self._is_us = resolver, clock, random, is_us
        self._memory = TlsMemory(clock) if memory is None else memory
        self._setup = self._make(outbound)
        self._memory.configure(outbound.tls_memory, outbound.tls_memory_domains)

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        """See ports.Transport."""
        setup = self._setup
        route = await setup.routes.find(entry.hop)
        attempt = Attempt(
            entry.message.envelope,
            Packer(entry.message, setup.outbound),
            access=setup.sessions.access(route),
            outbound=setup.outbound,
        )
        try:
            async with asyncio.timeout(setup.outbound.attempt_timeout):
                await _attempt(attempt, route, setup.routes)
        except TimeoutError:
            allowed = setup.outbound.attempt_timeout
            attempt.hold(Reply(451, "4.4.2", f"the attempt took longer than {allowed:.0f} s"))
        except SpoolError:
            attempt.hold(Reply(451, "4.3.0", "the message cannot be read from the queue now"))
        except Exception:
            _log.exception("attempt failed m=%s hop=%s", entry.id, entry.hop.destination)
            attempt.hold(Reply(451, "4.3.0", "internal error in delivery"))
        return attempt.outcomes(self._clock.now())

    async def lane(self, hop: Hop) -> str:
        """See ports.Transport."""
        return (await self._setup.routes.find(hop)).lane

    async def reload(self, outbound: Outbound) -> None:
        """Take over another configuration; attempts at work end by the old one, and no session of theirs is used again.
        Raises ConfigError, and everything stays as it was."""
        old, self._setup = self._setup, await asyncio.to_thread(self._make, outbound)
        self._memory.configure(outbound.tls_memory, outbound.tls_memory_domains)
        await old.sessions.close()

    async def close(self) -> None:
        """Take leave from idle servers; sessions in use end with their attempt."""
        await self._setup.sessions.close()
        await self._memory.close()

    def _make(self, outbound: Outbound) -> _Setup:
        routes = Routes(
            outbound, Tables.read(outbound), self._resolver, self._clock, self._random, self._is_us
        )
        contexts = Contexts.made(outbound.ca_file)
        return _Setup(
            outbound,
            routes,
            Sessions(outbound, self._hostname, contexts, self._memory, self._clock),
        )


async def _attempt(attempt: Attempt, route: Route, routes: Routes) -> None:
    if route.failure is not None:
        attempt.hold(route.failure)
    else:
        await attempt.run(lambda: routes.candidates(route))
