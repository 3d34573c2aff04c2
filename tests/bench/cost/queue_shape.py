"""What the queue costs: intake, commit, hand-over to the manager, settlement, on SQLite; delivery is instantaneous."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from notqmail.app.server import Server
from notqmail.config import Config
from notqmail.mail.message import Message
from notqmail.store.sqlite import SqliteStore
from tests.bench.cost.mail import CONTENT, envelope
from tests.bench.cost.shape import Shape, Work
from tests.bench.cost.world import FrontWorld, serving

AT_ONCE = 20


class SettledStore(SqliteStore):
    """The real store, which can be waited for."""

    settled = 0

    async def settle(self, *args: Any, **named: Any) -> Any:
        born = await super().settle(*args, **named)
        self.settled += 1
        if self._awaited is not None and self.settled == self._awaited[0]:
            self._awaited[1].set_result(None)
        return born

    _awaited: "tuple[int, asyncio.Future[None]] | None" = None

    async def wait_settled(self, count: int) -> None:
        """Wait until so many settlements have been made since the start."""
        if self.settled < count:
            self._awaited = count, asyncio.get_running_loop().create_future()
            await self._awaited[1]
            self._awaited = None


class QueueWorld(FrontWorld):
    """The real store, and nothing behind it."""

    async def store(self, config: Config) -> Any:
        return await SettledStore.start(config.data, config.queue, self.clock)


async def _accept(server: Server) -> None:
    draft = server.store.draft()
    draft.write(CONTENT)
    await server.intake.accept(draft, Message(envelope(), draft.content()), None)


@asynccontextmanager
async def _queue(directory: Path) -> AsyncIterator[Work]:
    async with serving(QueueWorld(), directory) as server:
        store = server.store
        assert isinstance(store, SettledStore)

        async def work(messages: int) -> None:
            for _ in range(messages // AT_ONCE):
                wanted = store.settled + AT_ONCE
                await asyncio.gather(*(_accept(server) for _ in range(AT_ONCE)))
                await store.wait_settled(wanted)

        yield work


QUEUE = Shape("queue", f"intake, SQLite, manager and back, {AT_ONCE} at once", 60, _queue)
