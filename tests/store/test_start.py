"""Opening the queue: who may, which schema, and what an earlier end has left."""

import logging
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from notqmail.config import Queue, Size
from notqmail.mail.entry import QueueFilter
from notqmail.mail.errors import ConfigError, SpoolError
from notqmail.store.lock import DataLock
from notqmail.store.migrate import steps, upgrade
from notqmail.store.sqlite import SqliteStore
from tests.support.clock import EPOCH, FakeClock
from tests.support.stored import outcomes, put, read, routed

QUEUE = Queue(free_space=Size(0), inline=Size(100))
LARGE = b"x" * 5000
NEWEST = max(steps())


async def start(path: Path, *, lock: bool = True) -> SqliteStore:
    return await SqliteStore.start(path, QUEUE, FakeClock(), lock=lock)


# the lock


async def test_a_second_server_is_told_who_has_the_directory(tmp_path: Path) -> None:
    store = await start(tmp_path)

    with pytest.raises(ConfigError) as caught:
        await start(tmp_path)

    assert f"process {os.getpid()}" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    await store.close()
    await (await start(tmp_path)).close()


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from notqmail.store.lock import DataLock; "
    code += "DataLock.acquire(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(ConfigError, match=f"process {holder.pid}"):
            DataLock.acquire(tmp_path)
        holder.kill()

    lock = DataLock.acquire(tmp_path)
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    lock.release()
    lock.release()


async def test_no_data_directory_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="notqmail init"):
        await start(tmp_path / "absent")


async def test_the_caller_may_hold_the_lock(tmp_path: Path) -> None:
    lock = DataLock.acquire(tmp_path)

    store = await start(tmp_path, lock=False)
    await store.close()

    with pytest.raises(ConfigError):
        DataLock.acquire(tmp_path)
    lock.release()


# the schema


async def test_a_new_queue_has_the_newest_schema(tmp_path: Path) -> None:
    await (await start(tmp_path)).close()

    database = sqlite3.connect(tmp_path / "queue.sqlite")
    assert database.execute("PRAGMA user_version").fetchone() == (NEWEST,)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


async def test_a_newer_schema_is_refused_with_both_versions(tmp_path: Path) -> None:
    await (await start(tmp_path)).close()
    database = sqlite3.connect(tmp_path / "queue.sqlite", isolation_level=None)
    database.execute("PRAGMA user_version = 99")
    database.close()

    with pytest.raises(SpoolError, match=rf"version 99, .* up to {NEWEST}.*restore"):
        await start(tmp_path)

    DataLock.acquire(tmp_path).release()  # and lets go of the lock


async def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "queue.sqlite", isolation_level=None)
    database.execute("CREATE TABLE accounts (a)")
    database.close()

    with pytest.raises(SpoolError, match="not a notqmail queue"):
        await start(tmp_path)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "queue.sqlite").write_bytes(b"not a database, " * 1000)

    with pytest.raises(SpoolError, match="damaged"):
        await start(tmp_path)


async def test_a_directory_that_cannot_be_written_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file where a directory should be")

    with pytest.raises(SpoolError, match="blobs"):
        await start(tmp_path)


def test_an_older_schema_is_upgraded_step_by_step() -> None:
    database = sqlite3.connect(":memory:", isolation_level=None)
    first = {1: "CREATE TABLE a (x);"}
    later = {
        **first,
        2: "CREATE TABLE b (x); -- ;\nINSERT INTO a VALUES ('1;\n2');",
        3: "DROP TABLE b;",
    }

    assert upgrade(database, first) == 0
    assert upgrade(database, later) == 1
    assert upgrade(database, later) == 3

    assert database.execute("SELECT x FROM a").fetchall() == [("1;\n2",)]
    database.close()


def test_an_upgrade_that_fails_changes_nothing() -> None:
    database = sqlite3.connect(":memory:", isolation_level=None)
    upgrade(database, {1: "CREATE TABLE a (x);"})

    with pytest.raises(sqlite3.OperationalError):
        upgrade(database, {1: "", 2: "DROP TABLE a;\nDROP TABLE nothing;"})

    assert database.execute("PRAGMA user_version").fetchone() == (1,)
    assert database.execute("SELECT x FROM a").fetchall() == []
    database.close()


def test_the_steps_are_numbered_without_a_gap() -> None:
    assert list(steps()) == list(range(1, len(steps()) + 1))


# what an earlier end left


async def test_what_was_in_attempt_comes_back_recovered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store = await start(tmp_path)
    await put(store, routed("0AA"))
    waiting = await put(store, routed("0BB"))
    await store.release(waiting)
    await store.close()

    store = await start(tmp_path)
    claimed = await store.claim(EPOCH, 10)

    assert {entry.id: entry.recovered for entry in claimed} == {"0AA": True, "0BB": False}
    assert "1 attempts" in caplog.text
    await store.release(claimed)
    again = await store.claim(EPOCH, 10)
    assert {entry.id: entry.recovered for entry in again} == {"0AA": True, "0BB": False}
    await store.close()


async def test_a_claim_of_an_earlier_run_is_void(tmp_path: Path) -> None:
    store = await start(tmp_path)
    (old,) = await put(store, routed("0AA"))
    await store.close()
    store = await start(tmp_path)

    with pytest.raises(SpoolError):
        await store.settle(old, outcomes(old))

    (entry,) = await store.claim(EPOCH, 10)
    with pytest.raises(SpoolError):
        await store.settle(old, outcomes(old))
    await store.settle(entry, outcomes(entry))
    await store.close()


async def test_files_nobody_refers_to_are_removed(tmp_path: Path) -> None:
    store = await start(tmp_path)
    await put(store, routed("0AABB", content=LARGE))
    await store.close()
    blobs = tmp_path / "blobs"
    (blobs / "tmp" / "7").write_bytes(b"left over")
    (blobs / "BB" / "0CCBB").write_bytes(b"never committed")
    (blobs / "ZZ").mkdir()
    (blobs / "ZZ" / "0AABB").write_bytes(b"not its place")

    store = await start(tmp_path)

    files = [path.relative_to(blobs) for path in blobs.rglob("*") if path.is_file()]
    assert files == [Path("BB/0AABB")]
    item = await store.open("0AABB")
    assert item is not None
    assert await read(item.message.content) == LARGE
    await store.close()


async def test_a_message_whose_file_is_missing_is_held_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = await start(tmp_path)
    await put(store, routed("0AABB", "a@example.net", "b@example.com", content=LARGE))
    await put(store, routed("0CCDD", content=LARGE))
    await store.close()
    (tmp_path / "blobs" / "BB" / "0AABB").unlink()

    store = await start(tmp_path)

    assert "m=0AABB is held" in caplog.text
    states = {(row.id, row.state) for row in await store.find(QueueFilter())}
    assert states == {("0AABB", "held"), ("0CCDD", "due")}
    assert [entry.id for entry in await store.claim(EPOCH, 10)] == ["0CCDD"]
    item = await store.open("0AABB")
    assert item is not None
    with pytest.raises(SpoolError, match="0AABB"):
        await read(item.message.content)
    await store.edit(QueueFilter(id="0AABB"), "delete", EPOCH)
    await store.close()
