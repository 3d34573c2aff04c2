"""What the whole road costs: the server as it is served, from a socket on loopback to the Maildir (W1)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from notqmail.config import Config
from notqmail.ports import Clock
from notqmail.system.journal import SqliteJournal
from tests.bench.cost.client import Client
from tests.bench.cost.queue_shape import SettledStore
from tests.bench.cost.shape import Shape, Work
from tests.bench.cost.world import World, serving

AT_ONCE = 10


class HeldJournal(SqliteJournal):
    """The real journal, given all records at the end of a run: by itself it writes as often as the wall clock says."""

    def __init__(self, config: Config, clock: Clock) -> None:
        super().__init__(config.data / "journal.sqlite", config.journal, clock)
        self._held: list[Mapping[str, Any]] = []

    def write(self, record: Mapping[str, Any]) -> None:
        self._held.append(record)

    async def flush(self) -> None:
        for record in self._held:
            super().write(record)
        self._held.clear()
        await super().flush()


class RoadWorld(World):
    """The real machine, whose store can be waited for."""

    def journal(self, config: Config) -> Any:
        return HeldJournal(config, self.clock)

    async def store(self, config: Config) -> Any:
        return await SettledStore.start(config.data, config.queue, self.clock)


async def _send(port: int) -> None:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: Client(1), "127.0.0.1", port)
    await client.ended


@asynccontextmanager
async def _road(directory: Path) -> AsyncIterator[Work]:
    async with serving(RoadWorld(), directory) as server:
        port = server.listeners["mx"]._sockets[0].getsockname()[1]
        store, journal = server.store, server.journal
        assert isinstance(store, SettledStore)
        assert isinstance(journal, HeldJournal)

        async def work(messages: int) -> None:
            for _ in range(messages // AT_ONCE):
                wanted = store.settled + AT_ONCE
                await asyncio.gather(*(_send(port) for _ in range(AT_ONCE)))
                await store.wait_settled(wanted)
            await journal.flush()

        yield work


ROAD = Shape("road", f"all of it, from socket to Maildir, {AT_ONCE} at once", 40, _road)
