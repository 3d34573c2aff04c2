"""The SQLite store: the common behaviour first, then what only it has: files, threads, a disk that fails."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from notqmail.config import Queue
from notqmail.store.sqlite import SqliteStore
from tests.store.conformance import StoreConformance
from tests.support.clock import FakeClock

QUEUE = Queue(free_space=0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.start(tmp_path, QUEUE, clock)
    yield store
    await store.close()


class TestSqliteStore(StoreConformance):
    pass
