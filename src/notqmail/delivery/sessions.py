"""Sessions for one attempt: kept ones that are good enough, and new ones over the best TLS that can be had.

    proving ──(certificate not valid)──► any ──(TLS failed)──► in clear

Each step down is a new connection, and is taken only where the terms allow what it leads to. What they demand is the
floor of the configuration, or a valid certificate where the domain has shown one before (tls_memory.py). A kept session
is used again only when it is good enough for who comes next. With a login, the floor is a valid certificate.
"""

import logging
from collections import OrderedDict
from datetime import UTC, datetime

from notqmail.config import Outbound
from notqmail.delivery.connection import Connection, Tls, open_connection
from notqmail.delivery.login import LoginRefusedError, log_in
from notqmail.delivery.mx import Candidate
from notqmail.delivery.pool import Pool
from notqmail.delivery.routes import Route
from notqmail.delivery.session_error import TlsFailedError, UnreachableError
from notqmail.delivery.terms import Terms
from notqmail.delivery.tls import Contexts
from notqmail.delivery.tls_memory import Seen, TlsMemory
from notqmail.log import event
from notqmail.mail.protection import Level, Protection
from notqmail.mail.reply import Reply
from notqmail.ports import Clock

_log = logging.getLogger(__name__)

_ABOVE = {  # the levels that are good enough
    Level.CLEAR: frozenset({Level.CLEAR, Level.UNVERIFIED, Level.VERIFIED}),
    Level.UNVERIFIED: frozenset({Level.UNVERIFIED, Level.VERIFIED}),
    Level.VERIFIED: frozenset({Level.VERIFIED}),
}
_NEEDED = {
    "never": Level.CLEAR,
    "opportunistic": Level.CLEAR,
    "encrypt": Level.UNVERIFIED,
    "verify": Level.VERIFIED,
}


class Sessions:
    """What all attempts share: the pool, and what was learned of hosts."""

    def __init__(
        self,
        outbound: Outbound,
        hostname: str,
        contexts: Contexts,
        memory: TlsMemory,
        clock: Clock,
    ) -> None:
        self.outbound, self.hostname = outbound, hostname
        self.contexts, self.memory = contexts, memory
        self.pool = Pool(outbound)
        self._clock = clock
        self._unproven: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._refused: dict[str, tuple[float, Reply]] = {}  # by table: as many as there are

    def access(self, route: Route) -> "Access":
        """What one attempt uses."""
        return Access(self, route)

    async def close(self) -> None:
        """Take leave from idle servers; sessions in use end with their attempt."""
        await self.pool.close()

    def unproven(self, host: str) -> str:
        """Say why the certificate of a host was not valid lately; "" when nothing is known."""
        until, why = self._unproven.get(host, (0.0, ""))
        return why if until > self._clock.monotonic() else ""

    def note_unproven(self, host: str, why: str) -> None:
        self._unproven[host] = (self._clock.monotonic() + self.outbound.tls_retry, why)
        self._unproven.move_to_end(host)
        if len(self._unproven) > self.outbound.routes:
            self._unproven.popitem(last=False)

    def refused(self, terms: Terms) -> Reply | None:
        """Give the reply to a login that is not to be tried again yet."""
        until, reply = self._refused.get(terms.name, (0.0, None))
        return reply if until > self._clock.monotonic() else None

    def note_refused(self, terms: Terms, reply: Reply) -> None:
        self._refused[terms.name] = (self._clock.monotonic() + self.outbound.login_retry, reply)


class Access:
    """Sessions for one attempt."""

    def __init__(self, shared: Sessions, route: Route) -> None:
        self._shared, self._route, self._terms = shared, route, route.terms
        self._held = self._hold()
        self._need = Level.VERIFIED if self._held else _NEEDED[self._terms.floor]

    def take(self) -> Connection | None:
        """An idle session that is good enough."""
        connection = self._shared.pool.take(self._route.lane, self._suits)
        if connection is not None:
            self._remember(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep a session for others, or end it."""
        self._shared.pool.give_back(self._route.lane, connection)

    async def open(self, peer: Candidate) -> Connection:
        """A new session. Raises UnreachableError."""
        if (reply := self._shared.refused(self._terms)) is not None:
            raise UnreachableError(reply)
        connection = await self._connect(peer)
        ready = False
        try:
            await self._finish(connection)
            ready = True
        finally:
            if not ready:
                self._shared.pool.dismiss(connection)
        return connection

    async def _finish(self, connection: Connection) -> None:
        peer, protection = connection.peer, connection.protection
        event(
            _log,
            "connected",
            host=peer.host,
            address=peer.address,
            port=peer.port,
            tls=protection,
        )
        if not self._suits(connection):
            offered = protection.level is not Level.CLEAR
            raise self._refusal(peer, "4.7.5" if offered else "4.7.4", protection.why)
        if self._terms.account is not None:
            await self._log_in(connection)
        self._remember(connection)

    async def _connect(self, peer: Candidate) -> Connection:
        shared, source = self._shared, self._terms.source(peer.address)
        tls: Tls | None = self._best(peer.host)
        while tls is not None:
            try:
                return await open_connection(peer, shared.outbound, shared.hostname, source, tls)
            except TlsFailedError as failure:
                event(
                    _log,
                    "tls-failed",
                    level=logging.INFO if failure.certificate else logging.WARNING,
                    host=peer.host,
                    address=peer.address,
                    reply=failure.reply,
                )
                tls, why = self._below(tls, peer.host, failure), failure.why
        raise self._refusal(peer, "4.7.5", why)

    def _best(self, host: str) -> Tls:
        """What to try first."""
        if self._terms.floor == "never":
            return Tls(why="as configured")
        why = self._shared.unproven(host)
        if why and self._need is not Level.VERIFIED:
            return self._tls(proving=False, why=why)
        return self._tls(proving=True)

    def _below(self, tls: Tls, host: str, failure: TlsFailedError) -> Tls | None:
        """What to try when that failed; None when nothing less will do."""
        if failure.certificate and self._need is not Level.VERIFIED:
            self._shared.note_unproven(host, failure.why)
            return self._tls(proving=False, why=failure.why)
        if self._need is Level.CLEAR and not tls.implicit:
            return Tls(why=f"TLS failed: {failure.why}")
        return None

    def _tls(self, *, proving: bool, why: str = "") -> Tls:
        contexts, terms = self._shared.contexts, self._terms
        context = contexts.proving if proving else contexts.any
        return Tls(context, terms.implicit, terms.names, self._route.domain, why)

    def _suits(self, connection: Connection) -> bool:
        return connection.protection.level in _ABOVE[self._need]

    async def _log_in(self, connection: Connection) -> None:
        assert self._terms.account is not None
        timeout = self._shared.outbound.command_timeout
        try:
            await log_in(connection, self._terms.account, timeout)
        except LoginRefusedError as refused:
            self._shared.note_refused(self._terms, refused.reply)
            raise

    def _hold(self) -> Seen | None:
        """What the domain is held to, unless its own table says something about TLS."""
        if self._terms.overrides or self._terms.floor == "never":
            return None
        return self._shared.memory.seen(self._route.domain)

    def _remember(self, connection: Connection) -> None:
        if not self._terms.overrides and connection.protection.level is Level.VERIFIED:
            self._shared.memory.remember(self._route.domain, connection.peer.host)

    def _refusal(self, peer: Candidate, enhanced: str, fault: str) -> UnreachableError:
        """Keep the mail: the reply is for who sent it, the note for who runs this server."""
        domain, name = self._route.domain, self._terms.name
        if self._held is not None:
            demand = f"{domain} has shown a valid certificate before"
            note = (
                f"{domain} is held to a valid certificate until {_day(self._held.until)}, as {self._held.host} has shown "
                f"one, and now: {fault}; to deliver all the same: notqmail tls forget {domain}, or a table "
                "[[outbound.to]] with a tls of its own"
            )
        else:
            demand = (
                f"TLS{' with a valid certificate' * (self._need is Level.VERIFIED)} is required"
            )
            where = f"[[outbound.to]] {name}" if name else "[outbound]"
            note = f'{where} has tls = "{self._terms.floor}"; {fault}'
        protection = Protection(Level.REFUSED, why=note)
        event(_log, "tls-refused", level=logging.WARNING, host=peer.host, domain=domain, why=note)
        return UnreachableError(
            Reply(451, enhanced, f"{demand}, and {peer}: {fault}"), tls=protection
        )


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
