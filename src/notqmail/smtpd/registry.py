"""Who is connected: counts per address, the tasks at work, and the way to the end of the service.

One registry serves all listeners of one process; limits are per listener.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from notqmail.config import Limits
from notqmail.mail.network import client_network, plain_address
from notqmail.mail.reply import Reply
from notqmail.policy.transaction import Peer
from notqmail.smtpd import replies
from notqmail.smtpd.dialogue import Work
from notqmail.smtpd.service import Counts

logger = logging.getLogger(__name__)


class Connection(Protocol):
    """What the registry asks of a session."""

    def drain(self) -> None: ...
    def abort(self) -> None: ...


class Registry:
    """The sessions of one listener, and its share of the event loop."""

    def __init__(self, listener: str, limits: Limits, counts: Counts) -> None:
        self.loop = asyncio.get_running_loop()
        self._listener = listener
        self._limits = limits
        self._counts = counts
        self._sessions: dict[
            Connection, str
        ] = {}  # with the network it is counted in, "" before that is known
        self._per_network: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self._serial = 0
        self.handshakes = 0  # TLS handshakes that have begun and not ended
        self._quiet = asyncio.Event()
        self._quiet.set()

    def __len__(self) -> int:
        return len(self._sessions)

    def limit(self, limits: Limits) -> None:
        """Admit by new limits from now on; who is in stays."""
        self._limits = limits

    def new_session_id(self) -> str:
        """A short name for log lines: unique in this run of this listener."""
        self._serial += 1
        return f"{self._listener}{self._serial:x}"

    def admit(self, session: Connection) -> Reply | None:
        """Count a connection in, or say why it is not served (421)."""
        if self._draining:
            return replies.STOPPING
        if len(self._sessions) >= self._limits.connections:
            return self.turn_away(replies.TOO_MANY_CONNECTIONS)
        self._sessions[session] = ""
        self._quiet.clear()
        self._counts.connected(self._listener)
        return None

    def place(self, session: Connection, address: str) -> Reply | None:
        """Count an admitted connection in the network it comes from, or say why it is not served (421)."""
        key = client_network(address)
        v6 = ":" in key
        limit = self._limits.connections_per_ipv6 if v6 else self._limits.connections_per_ipv4
        if self._per_network[key] >= limit:
            return self.turn_away(replies.TOO_MANY_FROM_YOU)
        self._forget_network(session)
        self._per_network[key] += 1
        self._sessions[session] = key
        return None

    def leave(self, session: Connection) -> None:
        """Count a connection out."""
        self._forget_network(session)
        del self._sessions[session]
        self._settle()

    def _forget_network(self, session: Connection) -> None:
        key = self._sessions[session]
        if key:
            self._per_network[key] -= 1
            if not self._per_network[key]:
                del self._per_network[key]

    def handshake_began(self) -> None:
        """Count a TLS handshake that has begun."""
        self.handshakes += 1

    def handshake_ended(self, result: str) -> None:
        """It has ended: with a protocol version, or "failed"."""
        self.handshakes -= 1
        self._counts.secured(self._listener, result)

    def start(self, work: Work, done: Callable[["asyncio.Task[None]"], None]) -> None:
        """Run a dialogue's coroutine. It belongs to the registry: no hang-up cancels it."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        self._quiet.clear()
        task.add_done_callback(self._forget)
        task.add_done_callback(done)

    def broken(self, session: str, task: "asyncio.Task[None]") -> None:
        """A session failed in a way nobody planned: say so, once, with the traceback."""
        error = None if task.cancelled() else task.exception()
        logger.error("session failed s=%s", session, exc_info=error)

    def abort(self) -> None:
        """Cut every connection now."""
        for session in list(self._sessions):
            session.abort()

    async def drain(self, grace: float) -> None:
        """Turn away what is new, end what is idle, give the rest `grace` seconds, then cut connections.
        Commits are waited for beyond that: they end by themselves."""
        self._draining = True
        for session in list(self._sessions):
            session.drain()
        try:
            async with asyncio.timeout(grace):
                await self._quiet.wait()
        except TimeoutError:
            self.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def turn_away(self, reply: Reply) -> Reply:
        """Count a refusal, and give it back."""
        self._counts.refused(reply.enhanced)
        return reply

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._settle()

    def _settle(self) -> None:
        if not self._sessions and not self._tasks:
            self._quiet.set()


def peer_of(transport: asyncio.BaseTransport) -> Peer:
    """Who is at the other end. An IPv4 client on an IPv6 socket is an IPv4 client; zones are dropped."""
    remote = transport.get_extra_info("peername") or ("", 0)
    local = transport.get_extra_info("sockname") or ("", 0)
    return Peer(plain_address(remote[0]), remote[1], plain_address(local[0]), local[1])
