"""The SQLite store: the common behaviour first, then what only it has: files, threads, a disk that fails."""

import asyncio
import errno
import gc
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from notqmail.config import Queue, Size
from notqmail.mail.entry import QueueFilter, QueueRow
from notqmail.mail.errors import SpoolError, StaleTokenError
from notqmail.mail.message import CHUNK
from notqmail.store import listing
from notqmail.store.draft import BATCH
from notqmail.store.files import Files
from notqmail.store.sqlite import SqliteStore
from tests.store.conformance import LARGE, StoreConformance
from tests.support.clock import EPOCH, FakeClock
from tests.support.stored import outcomes, put, read, routed

QUEUE = Queue(free_space=Size(0))
EVERYTHING = QueueFilter()


class BadDisk(Files):
    """Fails the operations named in `failing`, with `error`; says that `space` octets are free."""

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.error = errno.ENOSPC
        self.space = 1 << 40

    def _check(self, what: str) -> None:
        if what in self.failing:
            raise OSError(self.error, "as told", what)

    def create(self, path: Path) -> int:
        self._check("create")
        return super().create(path)

    def write(self, descriptor: int, data: bytes) -> None:
        self._check("write")
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._check("sync")
        super().sync(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        self._check("rename")
        super().rename(old, new)

    def link(self, old: Path, new: Path) -> None:
        self._check("link")
        super().link(old, new)

    def remove(self, path: Path) -> None:
        self._check("remove")
        super().remove(path)

    def sync_directory(self, path: Path) -> None:
        self._check("sync_directory")
        super().sync_directory(path)

    def free(self, path: Path) -> int:
        self._check("free")
        return self.space


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def disk() -> BadDisk:
    return BadDisk()


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock, disk: BadDisk) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.start(tmp_path, QUEUE, clock, files=disk)
    yield store
    await store.close()


class TestSqliteStore(StoreConformance):
    pass


def files(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "blobs").rglob("*") if path.is_file())


# content in files


async def test_small_content_makes_no_file(store: SqliteStore, tmp_path: Path) -> None:
    await put(store, routed("0AABB", content=b"x" * QUEUE.inline))

    assert files(tmp_path) == []


async def test_large_content_is_one_file_that_goes_with_the_message(
    store: SqliteStore, tmp_path: Path
) -> None:
    (entry,) = await put(store, routed("0AABB", content=b"x" * (QUEUE.inline + 1)))

    assert (tmp_path / "blobs" / "BB" / "0AABB").stat().st_size == QUEUE.inline + 1
    await store.settle(entry, outcomes(entry))
    assert files(tmp_path) == []


async def test_deleting_a_large_message_removes_its_file(
    store: SqliteStore, tmp_path: Path
) -> None:
    await store.release(await put(store, routed("0AABB", content=LARGE)))

    await store.edit(EVERYTHING, "delete", EPOCH)

    assert files(tmp_path) == []


async def test_content_is_read_in_chunks(store: SqliteStore) -> None:
    (entry,) = await put(store, routed("0AABB", content=LARGE))

    sizes = [len(chunk) async for chunk in entry.message.content.chunks()]

    assert entry.message.content.whole is None
    assert max(sizes) == CHUNK
    assert sum(sizes) == len(LARGE)


async def test_a_file_cut_short_is_told_and_not_delivered(
    store: SqliteStore, tmp_path: Path
) -> None:
    (entry,) = await put(store, routed("0AABB", content=LARGE))
    with (tmp_path / "blobs" / "BB" / "0AABB").open("r+b") as file:
        file.truncate(100)

    with pytest.raises(SpoolError, match="shorter"):
        await read(entry.message.content)


async def test_a_forward_shares_the_file(store: SqliteStore, tmp_path: Path) -> None:
    (entry,) = await put(store, routed("0AABB", content=LARGE))
    original = (tmp_path / "blobs" / "BB" / "0AABB").stat().st_ino
    child = routed("0CCDD", "z@example.net", content=entry.message.content)

    await store.settle(entry, outcomes(entry), children=[child])

    assert files(tmp_path) == ["0CCDD"]
    assert (tmp_path / "blobs" / "DD" / "0CCDD").stat().st_ino == original


async def test_where_links_are_not_to_be_had_a_forward_is_copied(
    store: SqliteStore, disk: BadDisk
) -> None:
    disk.failing, disk.error = {"link"}, errno.EPERM
    (entry,) = await put(store, routed("0AABB", content=LARGE))
    child = routed("0CCDD", "z@example.net", content=entry.message.content)

    (born,) = await store.settle(entry, outcomes(entry), children=[child])

    assert await read(born.message.content) == LARGE


async def test_a_queue_id_cannot_leave_its_directory(store: SqliteStore, tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="no queue id"):
        await put(store, routed("../../x", content=LARGE))

    await store.close()
    assert files(tmp_path) == []


async def test_nobody_else_can_read_the_queue(store: SqliteStore, tmp_path: Path) -> None:
    await put(store, routed("0AABB", content=LARGE))

    paths = [*tmp_path.glob("queue.sqlite*"), *(tmp_path / "blobs").rglob("*"), tmp_path / "blobs"]

    assert len(paths) == 7
    assert [path for path in paths if path.stat().st_mode & 0o077] == []


async def test_a_directory_that_fails_to_sync_keeps_no_file(
    store: SqliteStore, disk: BadDisk, tmp_path: Path
) -> None:
    (entry,) = await put(store, routed("0AABB", content=LARGE))
    disk.failing = {"sync_directory"}

    with pytest.raises(SpoolError):
        await put(store, routed("0CCBB", content=LARGE))
    child = routed("0DDBB", content=entry.message.content)
    with pytest.raises(SpoolError):
        await store.settle(entry, outcomes(entry), children=[child])

    await store.settle(entry, outcomes(entry))
    await store.close()
    assert files(tmp_path) == ["0DDBB"]  # has no row: goes at the next start


async def test_children_are_placed_all_or_none(
    store: SqliteStore, disk: BadDisk, tmp_path: Path
) -> None:
    (entry,) = await put(store, routed("0AABB"))
    children = [routed("0CCDD", content=LARGE), routed("0CCDD", content=LARGE)]

    with pytest.raises(SpoolError, match="there already"):
        await store.settle(entry, outcomes(entry), children=children)

    await store.close()
    assert files(tmp_path) == []


async def test_an_edit_goes_on_while_entries_are_delivered(store: SqliteStore) -> None:
    recipients = [f"u{number}@example.net" for number in range(listing.PAGE + 10)]
    await store.release(await put(store, routed("0A", *recipients)))
    await store.release(await put(store, routed("0B", "b@example.net")))
    claimed = await store.claim(EPOCH, 1)
    assert [entry.id for entry in claimed] == ["0A"]

    editing = asyncio.create_task(_edit_all(store))
    await asyncio.sleep(0)
    await store.settle(claimed[0], outcomes(claimed[0]))

    assert {row.id for row in await editing} <= {"0A", "0B"}
    assert await store.find(EVERYTHING) == []


async def _edit_all(store: SqliteStore) -> Sequence[QueueRow]:
    return await store.edit(EVERYTHING, "delete", EPOCH)


# drafts


async def test_a_small_write_does_not_wait(store: SqliteStore) -> None:
    draft = store.draft()

    assert draft.write(b"x" * QUEUE.inline) is None
    assert draft.write(b"x" * (BATCH - QUEUE.inline - 1)) is None
    draft.discard()


async def test_a_draft_holds_no_more_than_two_batches(store: SqliteStore, tmp_path: Path) -> None:
    draft = store.draft()
    held = 0
    for _ in range(100):
        writing = draft.write(b"x" * CHUNK)
        held = max(held, sum(map(len, draft._held)))
        if writing is not None:
            await writing

    assert held <= BATCH
    assert draft.content().whole is None
    assert draft.size == 100 * CHUNK
    (entry,) = await draft.commit(routed("0AABB", content=draft.content()))
    assert await read(entry.message.content) == b"x" * (100 * CHUNK)


async def test_octets_written_without_waiting_are_kept_in_order(store: SqliteStore) -> None:
    draft = store.draft()
    parts = [bytes([number]) * 100_000 for number in range(20)]
    waits = [draft.write(part) for part in parts]

    (entry,) = await draft.commit(routed("0AABB", content=draft.content()))

    assert await read(entry.message.content) == b"".join(parts)
    await asyncio.gather(*(wait for wait in waits if wait is not None))


async def test_who_stops_waiting_does_not_lose_octets(store: SqliteStore) -> None:
    draft = store.draft()
    writing = draft.write(LARGE)
    assert isinstance(writing, asyncio.Future)
    writing.cancel()
    draft.write(b"end")

    (entry,) = await draft.commit(routed("0AABB", content=draft.content()))

    assert await read(entry.message.content) == LARGE + b"end"


async def test_a_write_that_fails_when_nobody_waits_any_more_is_no_complaint(
    store: SqliteStore, disk: BadDisk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.failing = {"write"}
    draft = store.draft()
    writing = draft.write(LARGE)
    assert isinstance(writing, asyncio.Future)
    writing.cancel()
    with pytest.raises(SpoolError):
        await draft.flush()
    del writing
    await asyncio.sleep(0)
    gc.collect()

    assert "never retrieved" not in caplog.text
    draft.discard()


async def test_a_draft_discarded_in_the_middle_of_a_write_leaves_no_file(
    store: SqliteStore, tmp_path: Path
) -> None:
    for _ in range(20):
        draft = store.draft()
        draft.write(LARGE)
        draft.discard()
    await store.close()

    assert files(tmp_path) == []


async def test_a_draft_can_be_discarded_after_the_store_is_closed(
    store: SqliteStore, tmp_path: Path
) -> None:
    draft = store.draft()
    writing = draft.write(LARGE)
    assert writing is not None
    await writing
    await store.close()

    draft.discard()

    assert len(files(tmp_path)) == 1  # the next start removes it


@pytest.mark.parametrize("what", ["create", "write", "sync", "rename", "sync_directory"])
@pytest.mark.parametrize(("error", "full"), [(errno.ENOSPC, True), (errno.EIO, False)])
async def test_a_disk_that_fails_keeps_nothing(
    store: SqliteStore, disk: BadDisk, tmp_path: Path, what: str, error: int, full: bool
) -> None:
    disk.failing, disk.error = {what}, error

    with pytest.raises(SpoolError) as caught:
        await put(store, routed("0AABB", content=LARGE))

    assert caught.value.full is full
    assert await store.find(EVERYTHING) == []
    disk.failing = set()
    (entry,) = await put(store, routed("0CCDD", content=LARGE))  # and the store goes on
    await store.settle(entry, outcomes(entry))
    await store.close()
    assert files(tmp_path) == []


async def test_a_write_that_failed_is_told_again(store: SqliteStore, disk: BadDisk) -> None:
    disk.failing = {"write"}
    draft = store.draft()
    writing = draft.write(LARGE)
    assert writing is not None
    with pytest.raises(SpoolError):
        await writing

    with pytest.raises(SpoolError):
        draft.write(b"more")
    with pytest.raises(SpoolError):
        await read(draft.content())
    with pytest.raises(SpoolError):
        await draft.commit(routed("0AABB"))


async def test_a_file_that_cannot_be_removed_is_a_warning(
    store: SqliteStore, disk: BadDisk, caplog: pytest.LogCaptureFixture
) -> None:
    (entry,) = await put(store, routed("0AABB", content=LARGE))
    disk.failing, disk.error = {"remove"}, errno.EROFS

    await store.settle(entry, outcomes(entry))
    draft = store.draft()
    draft.write(LARGE)
    draft.discard()
    await store.close()

    assert sum("until the next start" in record.getMessage() for record in caplog.records) == 2


async def test_a_database_that_is_full_keeps_no_file(store: SqliteStore, tmp_path: Path) -> None:
    await store._writer.submit(lambda db: _cap(db, 0))

    with pytest.raises(SpoolError) as caught:
        await put(store, routed("0AABB", *(f"u{n}@{n}.example" for n in range(500)), content=LARGE))

    assert caught.value.full
    assert "full" in store.trouble
    await store._writer.submit(lambda db: _cap(db, 1 << 20))
    assert store.trouble == ""
    await store.close()
    assert files(tmp_path) == []


def _cap(database: object, more: int) -> None:
    """Let the database grow by so many pages at most."""
    assert isinstance(database, sqlite3.Connection)
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages + more}").fetchone()


async def test_a_settlement_refused_keeps_no_file_of_its_children(
    store: SqliteStore, tmp_path: Path
) -> None:
    (old,) = await put(store, routed("0AABB"))
    await store.release([old])

    with pytest.raises(StaleTokenError):
        await store.settle(old, outcomes(old), children=[routed("0CCDD", content=LARGE)])

    assert files(tmp_path) == []


async def test_a_settlement_that_failed_on_the_disk_can_be_tried_again_with_the_same_children(
    store: SqliteStore, tmp_path: Path
) -> None:
    (entry,) = await put(store, routed("0AABB"))
    children = [routed("0CCDD", content=LARGE)]
    await store._writer.submit(lambda db: db.execute("ALTER TABLE entry RENAME TO hidden"))
    with pytest.raises(SpoolError) as caught:
        await store.settle(entry, outcomes(entry), children=children)
    assert not caught.value.full
    await store._writer.submit(lambda db: db.execute("ALTER TABLE hidden RENAME TO entry"))

    (child,) = await store.settle(entry, outcomes(entry), children=children)

    assert await read(child.message) == LARGE
    await store.settle(child, outcomes(child))
    assert files(tmp_path) == []


async def test_a_child_that_cannot_be_written_leaves_the_entry_as_it_was(
    store: SqliteStore, disk: BadDisk, tmp_path: Path
) -> None:
    (entry,) = await put(store, routed("0AABB"))
    disk.failing = {"write"}

    with pytest.raises(SpoolError):
        await store.settle(entry, outcomes(entry), children=[routed("0CCDD", content=LARGE)])

    disk.failing = set()
    await store.settle(entry, outcomes(entry))
    await store.close()
    assert files(tmp_path) == []


async def test_a_commit_nobody_waits_for_is_there_to_be_claimed(store: SqliteStore) -> None:
    await put(store, routed("0A"))
    draft = store.draft()
    draft.write(b"x\r\n")
    committing = asyncio.create_task(draft.commit(routed("0AABB", content=b"x\r\n")))
    await asyncio.sleep(0)
    committing.cancel()
    await asyncio.wait([committing])
    await store.counts()
    for _ in range(2):  # the first may come before the claim is given back
        claimed = await store.claim(EPOCH, 10)
        if claimed:
            break

    assert [entry.id for entry in claimed] == ["0AABB"]


async def test_a_claim_given_back_to_a_closed_store_waits_for_the_next_start(
    tmp_path: Path,
) -> None:
    store = await SqliteStore.start(tmp_path, QUEUE, FakeClock())
    await store.release(await put(store, routed("0AABB")))
    claiming = asyncio.create_task(store.claim(EPOCH, 10))
    await asyncio.sleep(0)
    claiming.cancel()
    await store.close()
    await asyncio.wait([claiming])

    store = await SqliteStore.start(tmp_path, QUEUE, FakeClock())
    assert len(await store.claim(EPOCH, 10)) == 1
    await store.close()


async def test_a_claim_that_cannot_be_given_back_is_a_warning(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    await store.release(await put(store, routed("0AABB")))
    claiming = asyncio.create_task(store.claim(EPOCH, 10))
    await asyncio.sleep(0)
    claiming.cancel()
    await store._writer.submit(lambda db: db.execute("PRAGMA query_only = 1").fetchall())
    with suppress(SpoolError):  # when it comes in one batch with the release
        await store.next_due()
    await asyncio.sleep(0)

    assert "entries stay leased until the next start" in caplog.text
    gc.collect()  # no exception was left for the loop to complain of, which is an error here


# free space


async def test_new_mail_is_refused_while_space_is_short(tmp_path: Path) -> None:
    disk, clock = BadDisk(), FakeClock()
    store = await SqliteStore.start(tmp_path, Queue(free_space=Size(50 << 20)), clock, files=disk)
    (entry,) = await put(store, routed("0AABB"))
    disk.space = 10 << 20
    clock.advance(1.5)

    with pytest.raises(SpoolError, match="10 MB are free") as caught:
        await put(store, routed("0CCDD"))
    with pytest.raises(SpoolError):
        store.draft()

    assert caught.value.full
    # what is here goes on, its bounce too
    await store.settle(entry, outcomes(entry), children=[routed("0EEFF", sender="")])
    disk.space = 1 << 40
    assert "10 MB are free" in store.trouble
    clock.advance(1.5)
    await put(store, routed("0GGHH"))  # what was seen long ago refuses nobody
    assert store.trouble == ""
    await store.close()


async def test_a_disk_whose_space_cannot_be_asked_takes_no_mail(
    store: SqliteStore, disk: BadDisk
) -> None:
    disk.failing, disk.error = {"free"}, errno.EIO

    with pytest.raises(SpoolError):
        await put(store, routed("0AABB"))


async def test_the_space_is_looked_at_once_a_second(tmp_path: Path) -> None:
    looks: list[Path] = []

    class Watched(BadDisk):
        def free(self, path: Path) -> int:
            looks.append(path)
            return 1 << 40

    clock = FakeClock()
    store = await SqliteStore.start(tmp_path, QUEUE, clock, files=Watched())
    for number in range(10):
        await put(store, routed(f"0A{number}"))
    clock.advance(1.0)
    await put(store, routed("0BB"))

    assert looks == [tmp_path, tmp_path]
    await store.close()


# the reader


async def test_find_does_not_wait_for_the_writer(store: SqliteStore) -> None:
    gate = threading.Event()
    await put(store, routed("0AABB"))
    busy = store._writer.submit(lambda _: gate.wait(10))

    rows = await store.find(EVERYTHING)

    assert [row.id for row in rows] == ["0AABB"]
    gate.set()
    await busy


async def test_what_a_reader_cannot_read_is_told(store: SqliteStore, tmp_path: Path) -> None:
    def forget(database: object) -> None:
        assert isinstance(database, sqlite3.Connection)
        database.execute("DROP TABLE recipient")

    await store._writer.submit(forget)

    with pytest.raises(SpoolError, match="no such table"):
        await store.find(EVERYTHING)
