"""The transport to other servers: by MX, to a literal, or through the smarthost.

One `deliver` is one attempt: route, idle session or hosts in order, one outcome per recipient. Sessions are kept for a
moment and shared by what has one lane. Whatever a peer does is an outcome; it never loses mail and never raises.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence

from notqmail.config import Outbound
from notqmail.delivery.attempt import Attempt
from notqmail.delivery.connection import Connection, open_connection
from notqmail.delivery.mx import Candidate
from notqmail.delivery.parcel import Packer
from notqmail.delivery.pool import Pool
from notqmail.delivery.routes import Route, Routes
from notqmail.delivery.session_error import TlsFailedError
from notqmail.log import event
from notqmail.mail.entry import Entry
from notqmail.mail.errors import SpoolError
from notqmail.mail.hop import Hop
from notqmail.mail.idn import canonical_domain
from notqmail.mail.outcome import Outcome
from notqmail.mail.reply import Reply
from notqmail.ports import Clock, Random, Resolver

_log = logging.getLogger(__name__)


class RemoteTransport:
    """ports.Transport by SMTP. `hostname` is our name in EHLO; `is_us` says whether a host name or an IP address is
    ours, for the loop rule of RFC 5321 §5.1."""

    def __init__(  # noqa: PLR0917 - the ports, in the order every transport has them
        self,
        outbound: Outbound,
        hostname: str,
        resolver: Resolver,
        clock: Clock,
        random: Random,
        is_us: Callable[[str], bool],
    ) -> None:
        self._outbound = outbound
        self._hostname = canonical_domain(hostname)
        self._clock = clock
        self._routes = Routes(outbound, resolver, clock, random, is_us)
        self._pool = Pool(outbound)
        self._tls = opportunistic() if outbound.tls == "opportunistic" else None

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        """See ports.Transport."""
        packer = Packer(entry.message, self._outbound)
        route = await self._routes.find(entry.hop)
        attempt = Attempt(
            entry.message.envelope,
            packer,
            lane=route.lane,
            pool=self._pool,
            open_=self._open,
            outbound=self._outbound,
        )
        try:
            async with asyncio.timeout(self._outbound.attempt_timeout):
                await self._attempt(attempt, route)
        except TimeoutError:
            allowed = self._outbound.attempt_timeout
            attempt.hold(Reply(451, "4.4.2", f"the attempt took longer than {allowed:.0f} s"))
        except SpoolError:
            attempt.hold(Reply(451, "4.3.0", "the message cannot be read from the queue now"))
        except Exception:
            _log.exception("attempt failed m=%s hop=%s", entry.id, entry.hop.destination)
            attempt.hold(Reply(451, "4.3.0", "internal error in delivery"))
        return attempt.outcomes(self._clock.now())

    async def lane(self, hop: Hop) -> str:
        """See ports.Transport."""
        return (await self._routes.find(hop)).lane

    async def close(self) -> None:
        """Take leave from idle servers; sessions in use end with their attempt."""
        await self._pool.close()

    async def _attempt(self, attempt: Attempt, route: Route) -> None:
        if route.failure is not None:
            attempt.hold(route.failure)
        else:
            await attempt.run(lambda: self._routes.candidates(route))

    async def _open(self, peer: Candidate) -> Connection:
        """A new session, over TLS if that can be had. Raises UnreachableError."""
        try:
            connection = await open_connection(peer, self._outbound, self._hostname, self._tls)
        except TlsFailedError as failure:
            event(
                _log,
                "tls-failed",
                level=logging.WARNING,
                host=peer.host,
                address=peer.address,
                reply=failure.reply,
            )
            connection = await open_connection(peer, self._outbound, self._hostname, None)
        event(
            _log,
            "connected",
            host=peer.host,
            address=peer.address,
            port=peer.port,
            tls=connection.tls or "no",
        )
        return connection


def opportunistic() -> ssl.SSLContext:
    """TLS against who only listens: no certificate is verified. Made by hand, so that no default of the interpreter
    changes what it means."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
