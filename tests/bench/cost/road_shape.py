"""What the whole road costs: the server as it is served, from a socket on loopback to the Maildir (W1)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from notqmail.config import Config
from notqmail.system.journal import SqliteJournal
from tests.bench.cost.client import Client
from tests.bench.cost.queue_shape import SettledStore
from tests.bench.cost.shape import Shape, Work
from tests.bench.cost.world import World, serving

AT_ONCE = 10


class RoadWorld(World):
    """The real machine."""

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
        assert isinstance(journal, SqliteJournal)

        async def work(messages: int) -> None:
            for _ in range(messages // AT_ONCE):
                wanted = store.settled + AT_ONCE
                await asyncio.gather(*(_send(port) for _ in range(AT_ONCE)))
                await store.wait_settled(wanted)
            await journal.flush()

        yield work


ROAD = Shape("road", f"all of it, from socket to Maildir, {AT_ONCE} at once", 40, _road)
