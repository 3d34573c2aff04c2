"""The memory store: the common behaviour, and its pretended crash."""

import pytest

from notqmail.store.memory import MemoryStore
from tests.store.conformance import StoreConformance
from tests.support.clock import EPOCH, FakeClock
from tests.support.stored import delayed, put, routed


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> MemoryStore:
    return MemoryStore(clock)


class TestMemoryStore(StoreConformance):
    pass


async def test_a_restart_gives_back_what_was_held(store: MemoryStore) -> None:
    (active,) = await put(store, routed("0A"))
    (tried,) = await put(store, routed("0B"))
    await store.settle(tried, delayed(tried), EPOCH)

    store.restart()

    claimed = await store.claim(EPOCH, 10)
    assert {entry.id: entry.recovered for entry in claimed} == {"0A": True, "0B": False}
    assert active.token < claimed[0].token
