"""The real store on the simulated disk: it runs in one thread, the same way each time, and is accounted for after
every crash, as in tests/store/test_crash.py, but with what the crash interrupts going on in the dead process."""

import asyncio
import logging
import random
import threading
from typing import NamedTuple

import pytest

from notqmail.config import Config, Queue, Size
from notqmail.mail.entry import QueueFilter
from notqmail.mail.errors import SpoolError
from notqmail.ports import Store
from notqmail.store.sqlite import SqliteStore
from tests.simulation.disk import Crash
from tests.simulation.loop import Life, SimulatedLoop, simulate
from tests.simulation.server_disk import ServerDisk
from tests.store.workload import LIFE, Account, Ledger, account, perform
from tests.support.clock import FakeClock
from tests.support.stored import put, routed

CONFIG = Config(
    hostname="mx.example.org",
    queue=Queue(free_space=Size(0), inline=Size(4096)),
)


class Lived(NamedTuple):
    """What was asked and answered, what is found then, and what the disk has seen."""

    marks: list[str]
    found: Account
    operations: int
    fingerprint: int
    dead: bool


class LivedWorld:
    """tests.store.workload.World on a simulated disk."""

    def __init__(self, disk: ServerDisk) -> None:
        self.disk = disk
        self.marks: list[str] = []
        self.store: SqliteStore | None = None

    async def restart(self) -> Store:
        if self.store is not None:
            await self.store.close()
        self.store = await self.disk.store(CONFIG)
        return self.store

    def checkpoint(self) -> None:
        """The disk has them from time to time, by the seed."""

    def mark(self, text: str) -> None:
        self.marks.append(text)


def live(seed: int, at: int | None = None, kind: Crash = "kill") -> Lived:
    """Live through LIFE; crash before operation `at`, and look at what the next process finds."""

    async def main(loop: SimulatedLoop) -> Lived:
        disk = ServerDisk(FakeClock(), random.Random(seed), loop.trace)
        world, life = LivedWorld(disk), Life("store", loop.network.host("192.0.2.1"))
        dead = asyncio.Event()
        disk.on_crash = dead.set
        if at is not None:
            disk.device.crash_at(at, kind)

        async def lives() -> None:
            await perform(await world.restart(), LIFE, world)

        living, dying = life.start(lives()), asyncio.create_task(dead.wait())
        await asyncio.wait([living, dying], return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        marks = list(world.marks)
        operations, fingerprint = disk.device.operations, disk.device.fingerprint
        disk.crash(kind)  # unless it has come
        await life.end()
        store = await disk.store(CONFIG)
        found = await account(store)
        await store.close()
        disk.close()
        return Lived(marks, found, operations, fingerprint, dead.is_set() and at is not None)

    return simulate(seed, main)


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return asyncio.run(Ledger.of(LIFE))


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)  # hundreds of recoveries, each with its lines


def test_a_life_is_the_same_each_time_and_needs_no_thread() -> None:
    threads = threading.active_count()

    first, second = live(1), live(1)

    assert first == second
    assert first.operations > 300
    assert threading.active_count() == threads


def test_another_seed_is_another_life() -> None:
    assert live(1).fingerprint != live(2).fingerprint


@pytest.mark.parametrize("kind", ["kill", "power"])
def test_whatever_a_crash_interrupts_is_accounted_for(kind: Crash, ledger: Ledger) -> None:
    last = live(1).operations
    step = 7  # one of seven operations of each seed: together, all of them

    for first in range(1, step + 1):
        for at in range(first, last + 1, step * 3):
            lived = live(first, at, kind)
            assert lived.found in ledger.allowed(lived.marks), (first, at)


@pytest.mark.parametrize("weather", ["full", "read-only", "bad syncs"])
async def test_a_disk_in_trouble_refuses_mail_and_takes_it_again_later(weather: str) -> None:
    disk = ServerDisk(FakeClock(), random.Random(3))
    store = await disk.store(CONFIG)
    if weather == "full":
        disk.suffer("full")
    elif weather == "read-only":
        disk.device.read_only = True
    else:
        disk.device.bad_syncs = 1.0

    for number, octets in enumerate((100, 9000)):
        with pytest.raises(SpoolError):
            await put(store, routed(f"0A{number}", content=b"x" * octets))
    disk.recover()
    disk.device.read_only, disk.device.bad_syncs = False, 0.0
    for number, octets in enumerate((100, 9000)):
        await put(store, routed(f"0B{number}", content=b"x" * octets))

    await store.close()
    disk.device.crash("power")
    store = await disk.store(CONFIG)
    assert {row.id for row in await store.find(QueueFilter())} == {"0B0", "0B1"}
    await store.close()
    disk.close()
