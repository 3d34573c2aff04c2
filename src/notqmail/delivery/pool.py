"""Idle sessions, kept for a moment for the next message to the same destination; and the way out of the others."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable

from notqmail.config import Outbound
from notqmail.delivery.connection import Connection


class Pool:
    """Keeps usable sessions by lane, at most `outbound.idle_connections` of them, each `outbound.idle` seconds."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._lanes: defaultdict[str, list[Connection]] = defaultdict(list)
        self._idle: OrderedDict[Connection, tuple[str, asyncio.TimerHandle]] = OrderedDict()
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._idle)

    def take(self, lane: str, suits: Callable[[Connection], bool]) -> Connection | None:
        """Give the session that was used last, of those that suit: its server is the most likely still to be there."""
        for connection in reversed(self._lanes.get(lane, ())):
            if suits(connection):
                self._forget(connection)
                return connection
        return None

    def give_back(self, lane: str, connection: Connection) -> None:
        """Keep a session that can be used again; take leave from any other."""
        if self._closed or not connection.usable or not self._outbound.idle_connections:
            self.dismiss(connection)
            return
        if len(self._idle) >= self._outbound.idle_connections:
            self._drop(next(iter(self._idle)))
        timer = asyncio.get_running_loop().call_later(self._outbound.idle, self._drop, connection)
        connection.protocol.on_end = lambda: self._drop(connection)
        self._lanes[lane].append(connection)
        self._idle[connection] = (lane, timer)

    def dismiss(self, connection: Connection) -> None:
        """End a session: with QUIT where it is in step, else without a word. Does not wait."""
        if not connection.protocol.usable or connection.in_transaction:
            connection.abort()
            return
        task = asyncio.create_task(connection.quit(), name=f"quit {connection.peer}")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """End all sessions, now and from now on; wait for the QUITs."""
        self._closed = True
        for connection in tuple(self._idle):
            self._drop(connection)
        if self._leaving:
            await asyncio.wait(tuple(self._leaving))

    def _drop(self, connection: Connection) -> None:
        self._forget(connection)
        self.dismiss(connection)

    def _forget(self, connection: Connection) -> None:
        lane, timer = self._idle.pop(connection)
        timer.cancel()
        connection.protocol.on_end = None
        self._lanes[lane].remove(connection)
        if not self._lanes[lane]:
            del self._lanes[lane]
