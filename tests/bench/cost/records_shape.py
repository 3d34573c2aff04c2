"""What is written down of a message costs: its log lines and its journal records, as a server made them."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from notqmail.app.server import Server
from notqmail.config import Config, JournalSection
from notqmail.smtpd.session import SmtpSession
from notqmail.store.memory import MemoryStore
from notqmail.system.journal import SqliteJournal
from tests.bench.cost.client import Client, connect
from tests.bench.cost.shape import Shape, Work
from tests.bench.cost.world import CallClock, FrontWorld, NoJournal, serving

BATCH = 100  # messages whose records are written to the disk together


class Memory(NoJournal):
    """Keeps the records."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, Any]] = []

    def write(self, record: Mapping[str, Any]) -> None:
        self.records.append(record)


class Listening(logging.Handler):
    """Keeps the log's records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class KeptStore(MemoryStore):
    """A memory store as the server asks for it."""

    trouble = ""


class KeepingWorld(FrontWorld):
    """Keeps what is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = Memory()

    def journal(self, config: Config) -> Any:
        return self.kept

    async def store(self, config: Config) -> Any:
        return KeptStore(self.clock)


async def _one_message(server: Server) -> None:
    client, listener = Client(1), server.listeners["mx"]
    connect(client, SmtpSession(listener.service, listener.registry))
    await client.ended
    while any((await server.store.counts()).values()):
        await asyncio.sleep(0)


@asynccontextmanager
async def _records(directory: Path) -> AsyncIterator[Work]:
    world, listening = KeepingWorld(), Listening()
    logging.getLogger("notqmail").addHandler(listening)
    try:
        async with serving(world, directory) as server:
            await _one_message(server)
    finally:
        logging.getLogger("notqmail").removeHandler(listening)
    records, lines = world.kept.records, listening.records
    assert len(records) == 2, records
    journal = SqliteJournal(directory / "journal.sqlite", JournalSection(), CallClock())
    serial = itertools.count(1)

    async def work(messages: int) -> None:
        for _ in range(messages // BATCH):
            for _ in range(BATCH):
                for line in lines:
                    logging.getLogger(line.name).handle(line)
                id = f"{next(serial):013d}"
                for record in records:
                    journal.write({**record, "id": id})
            await journal.flush()

    yield work
    await journal.close()


RECORDS = Shape("records", "log lines and journal records", 100, _records)
