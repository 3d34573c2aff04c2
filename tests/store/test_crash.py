"""Power fails at any moment: what was answered is there, what was not is absent or whole, and nothing else is.

The life in tests/store/workload.py is recorded once on the real SQLite and real files. At each of its points, what a
crash could leave is made for real and opened by the real store; what is found must be in the ledger.
"""

import asyncio
import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from notqmail.config import Queue, Size
from notqmail.mail.entry import QueueFilter
from notqmail.mail.errors import NotqmailError
from notqmail.ports import Store
from notqmail.store.sqlite import SqliteStore
from tests.store.workload import LIFE, Ledger, Put, Step, account, perform
from tests.support.clock import EPOCH, FakeClock
from tests.support.disk import (
    Disk,
    Event,
    Image,
    Mark,
    Name,
    Sync,
    fates,
    put_on_disk,
    roles,
    without,
)
from tests.support.recording import Recorder
from tests.support.stored import outcomes

QUEUE = Queue(free_space=Size(0), inline=Size(4096))
MEMORY = Path("/dev/shm")  # a file system that is fast; what it loses, the images have lost already

NEEDED = (
    "blob",
    "directory of a blob",
    "directory of blob directories",
    "log",
    "log header",
    "directory of the log",
    "database, when it is made",
    "database, at a checkpoint",
)
# and those that are not, as things are
SPARE = {
    "data directory": "SQLite syncs it again for its log, before the first message is committed",
    "journal": "only used to make an empty database, in which nothing can be lost",
    "directory of the journal": "the same",
    "log, nothing new": "with synchronous=FULL every commit has synced the log before the checkpoint does",
}


class Crash(NamedTuple):
    """What is found on the disk, and what had been asked and answered by then."""

    image: Image
    marks: tuple[str, ...]
    at: int  # number of the event the power failed before

    @property
    def key(self) -> int:
        """What tells it from others."""
        return hash((tuple(self.image.items()), self.marks))


class RecordedWorld:
    """The world of a recorded store on a data directory."""

    def __init__(self, root: Path, before: Sequence[Event] = ()) -> None:
        self._root = root
        self._recorder = Recorder(root, before)
        self._store: SqliteStore | None = None

    async def restart(self) -> Store:
        await self.close()
        self._store = await SqliteStore.start(
            self._root,
            QUEUE,
            FakeClock(),
            files=self._recorder.files,
            connect=self._recorder.connect,
        )
        return self._store

    def checkpoint(self) -> None:
        self._recorder.checkpoint()

    def mark(self, text: str) -> None:
        self._recorder.trace.mark(text)

    async def close(self) -> list[Event]:
        """End it; give the trace without the farewell."""
        events = list(self._recorder.trace.events)
        if self._store is not None:
            await self._store.close()
        return events


async def record(
    root: Path, steps: Sequence[Step], before: Sequence[Event] = (), first: int = 0
) -> list[Event]:
    """Live through `steps` on the real store; give the trace."""
    world = RecordedWorld(root, before)
    await perform(await world.restart(), steps, world, first)
    return await world.close()


def crashes(events: Sequence[Event], draws: int, *, each: bool) -> Iterator[Crash]:
    """Every point at which the power may fail, with what may be left; no two alike."""
    disk = Disk()
    marks: tuple[str, ...] = ()
    seen: set[int] = set()
    for at, event in enumerate([*events, Mark("end")]):
        ends = isinstance(event, Mark | Sync)  # the most is pending just before
        for survived in fates(disk.pending, at, draws, each=each and ends):
            crash = Crash(disk.after_crash(survived), marks, at)
            if crash.key not in seen:
                seen.add(crash.key)
                yield crash
        disk.apply(event)
        if isinstance(event, Mark):
            marks = (*marks, event.text)


class UnaccountedError(AssertionError):
    """What was found is not what may be found."""


async def inspect(crash: Crash, ledger: Ledger, scratch: Path) -> None:
    """Open what the crash left; raise UnaccountedError when it is not accounted for."""
    root = Path(tempfile.mkdtemp(dir=scratch))
    try:
        put_on_disk(crash.image, root)
        store = await SqliteStore.start(root, QUEUE, FakeClock())
        try:
            found = await account(store)
        finally:
            await store.close()
        if found not in ledger.allowed(crash.marks):
            raise UnaccountedError(f"after {crash.marks[-1:]}: found {sorted(found)}")
        _inspect_files(root, {id for id, facts in found.items() if facts[-2] > 4096})
    except (NotqmailError, AssertionError, sqlite3.Error) as error:
        raise UnaccountedError(f"power failed before event {crash.at}: {error!r}") from error
    finally:
        shutil.rmtree(root)


def _inspect_files(root: Path, large: set[str]) -> None:
    blobs = [path for path in (root / "blobs").rglob("*") if path.is_file()]
    if {path.name for path in blobs} != large:
        raise UnaccountedError(f"files {sorted(blobs)} for {sorted(large)}")
    database = sqlite3.connect(root / "queue.sqlite")
    try:
        (answer,) = database.execute("PRAGMA integrity_check").fetchone()
    finally:
        database.close()
    if answer != "ok":
        raise UnaccountedError(answer)


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def trace(scratch: Path) -> list[Event]:
    root = scratch / "recorded"
    root.mkdir()
    return asyncio.run(record(root, LIFE))


class Inspector:
    """Inspects crashes; what was in order once is not looked at again."""

    def __init__(self, steps: Sequence[Step], scratch: Path) -> None:
        self._ledger = asyncio.run(Ledger.of(steps))
        self._scratch = scratch
        self._in_order: set[int] = set()

    def inspect(self, crashes: Iterable[Crash]) -> int:
        """Inspect every crash; give how many there were. Raises UnaccountedError at the first that is not in order."""
        return asyncio.run(self._one_by_one(crashes))

    async def _one_by_one(self, crashes: Iterable[Crash]) -> int:
        number = 0
        for crash in crashes:
            number += 1
            key = crash.key
            if key not in self._in_order:
                await inspect(crash, self._ledger, self._scratch)
                self._in_order.add(key)
        return number


@pytest.fixture(scope="module")
def inspector(scratch: Path) -> Inspector:
    return Inspector(LIFE, scratch)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)  # a thousand recoveries, each with its lines


def test_whatever_a_crash_leaves_is_accounted_for(trace: list[Event], inspector: Inspector) -> None:
    assert inspector.inspect(crashes(trace, 2, each=True)) > 1000


def test_every_sync_of_the_trace_is_judged_here(trace: list[Event]) -> None:
    assert set(roles(trace)) == {*NEEDED, *SPARE}


@pytest.mark.parametrize("role", NEEDED)
def test_without_this_sync_mail_would_be_lost(
    role: str, trace: list[Event], inspector: Inspector
) -> None:
    with pytest.raises(UnaccountedError):
        inspector.inspect(crashes(without(trace, role), 0, each=True))


def test_the_spare_syncs_have_nothing_to_do(trace: list[Event], inspector: Inspector) -> None:
    for role in SPARE:
        trace = without(trace, role)

    inspector.inspect(crashes(trace, 0, each=False))


# A server that is killed leaves its unsynced changes to the kernel, and the next server finds them as if they were
# safe. Then the power fails.

BEFORE_THE_KILL = LIFE[:1]
AFTER_THE_KILL: Sequence[Step] = ([Put("0ZBB", ("z@far.example",), 9000)],)


def killed(trace: list[Event]) -> list[Event]:
    """The trace up to where the directory for 0BB is made, and not synced yet."""
    for at, event in enumerate(trace):
        if isinstance(event, Name) and event.name == "BB":
            return trace[: at + 1]
    raise AssertionError("no such directory in the trace")


@pytest.fixture(scope="module")
def trace_over_a_kill(trace: list[Event], scratch: Path) -> list[Event]:
    before = killed(trace)
    disk = Disk()
    for event in before:
        disk.apply(event)
    root = scratch / "killed"
    root.mkdir()
    put_on_disk(disk.after_crash(disk.pending), root)  # the kernel has lost nothing
    return asyncio.run(record(root, AFTER_THE_KILL, before, first=len(BEFORE_THE_KILL)))


@pytest.fixture(scope="module")
def inspector_over_a_kill(scratch: Path) -> Inspector:
    return Inspector([*BEFORE_THE_KILL, *AFTER_THE_KILL], scratch)


def test_a_power_failure_after_a_kill_is_accounted_for(
    trace: list[Event], trace_over_a_kill: list[Event], inspector_over_a_kill: Inspector
) -> None:
    start = len(killed(trace))
    later = [c for c in crashes(trace_over_a_kill, 2, each=True) if c.at >= start]

    assert inspector_over_a_kill.inspect(later) > 50


def test_without_syncing_what_a_killed_server_made_mail_would_be_lost(
    trace: list[Event], trace_over_a_kill: list[Event], inspector_over_a_kill: Inspector
) -> None:
    start = len(killed(trace))
    rest = trace_over_a_kill[start:]
    rest.remove(
        next(e for e in rest if isinstance(e, Sync) and e.role == "directory of blob directories")
    )

    with pytest.raises(UnaccountedError):
        inspector_over_a_kill.inspect(crashes(trace[:start] + rest, 0, each=False))


async def test_a_queue_that_crashed_goes_on(trace: list[Event], tmp_path: Path) -> None:
    disk = Disk()
    for event in trace:
        disk.apply(event)
    put_on_disk(disk.after_crash([]), tmp_path)
    store = await SqliteStore.start(tmp_path, QUEUE, FakeClock())

    claimed = await store.claim(EPOCH + 3600, 1000)

    recovered = {entry.id: entry.recovered for entry in claimed}
    # in attempt when the power failed, or when the server was stopped before; one is held
    assert recovered == {"0EE": True, "0FF": True, "0JJ": True, "0KK": True}
    for entry in claimed:
        await store.settle(entry, outcomes(entry))
    assert {row.id for row in await store.find(QueueFilter(held=True))} == {"0GG"}
    await store.edit(QueueFilter(), "delete", EPOCH)
    assert await store.find(QueueFilter()) == []
    await store.close()
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []
