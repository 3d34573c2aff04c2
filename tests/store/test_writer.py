"""The writer: what commits together, what fails alone, what the disk's troubles are called."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from notqmail.mail.errors import SpoolError, StaleTokenError
from notqmail.store.commits import BATCH
from notqmail.store.database import Database, Rows
from notqmail.store.writer import Writer


class Counting:
    """A database that keeps what it was told."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database
        self.said: list[str] = []

    @property
    def in_transaction(self) -> bool:
        return self.database.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        self.said.append(sql)
        return self.database.execute(sql, parameters)

    def close(self) -> None:
        self.said.append("closed")
        self.database.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Counting]:
    with closing(
        sqlite3.connect(tmp_path / "db", timeout=0, isolation_level=None, check_same_thread=False)
    ) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (a PRIMARY KEY, b)")
        yield Counting(connection)


@pytest.fixture
async def writer(database: Counting) -> AsyncIterator[Writer]:
    writer = Writer(database, asyncio.get_running_loop())
    yield writer
    await writer.close()


def add(a: int, b: Any = None) -> Callable[[Database], int]:
    def run(database: Database) -> int:
        database.execute("INSERT INTO t VALUES (?, ?)", (a, b))
        return a

    return run


async def present(writer: Writer) -> list[int]:
    return await writer.submit(
        lambda db: [a for (a,) in db.execute("SELECT a FROM t ORDER BY a").fetchall()]
    )


class Gate:
    """An operation that keeps the thread busy until it is opened."""

    def __init__(self, writer: Writer) -> None:
        self._entered, self._open = threading.Event(), threading.Event()
        self.done = writer.submit(self._wait)

    def _wait(self, _: Database) -> None:
        self._entered.set()
        assert self._open.wait(10)

    async def entered(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._entered.wait, 10)

    def open(self) -> None:
        self._open.set()


async def together(writer: Writer, *runs: Callable[[Database], Any]) -> list[Any]:
    """Run operations in one batch, after one of its own."""
    gate = Gate(writer)
    await gate.entered()
    futures = [writer.submit(run) for run in runs]
    gate.open()
    await gate.done
    return await asyncio.gather(*futures, return_exceptions=True)


async def test_what_arrives_together_is_one_transaction(writer: Writer, database: Counting) -> None:
    assert await together(writer, *map(add, range(BATCH))) == list(range(BATCH))

    assert database.said.count("COMMIT") == 2  # the gate's, and all the others'


async def test_a_transaction_has_a_bound(writer: Writer, database: Counting) -> None:
    await together(writer, *map(add, range(BATCH + 1)))

    assert database.said.count("COMMIT") == 3


async def test_a_result_comes_after_the_commit(writer: Writer, database: Counting) -> None:
    await writer.submit(add(1))

    assert database.said[-1] == "COMMIT"


async def test_a_refusal_is_for_its_own_operation(writer: Writer, database: Counting) -> None:
    def refuse(_: Database) -> None:
        raise StaleTokenError("too late")

    one, refused, two = await together(writer, add(1), refuse, add(2))

    assert (one, two) == (1, 2)
    assert isinstance(refused, StaleTokenError)
    assert "ROLLBACK" not in database.said


async def test_an_operation_that_fails_half_way_leaves_nothing_and_harms_nobody(
    writer: Writer,
) -> None:
    def half(database: Database) -> None:
        add(7)(database)
        add(1)(database)  # twice

    one, failed, two = await together(writer, add(1), half, add(2))

    assert (one, two) == (1, 2)
    assert isinstance(failed, SpoolError)
    assert await present(writer) == [1, 2]


async def test_a_bug_in_an_operation_is_raised_where_it_was_asked_for(
    writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    def buggy(database: Database) -> None:
        add(7)(database)
        raise KeyError("bug")

    one, failed = await together(writer, add(1), buggy)

    assert one == 1
    assert isinstance(failed, KeyError)
    assert await present(writer) == [1]
    assert "store operation failed" in caplog.text


async def test_a_full_disk_is_told_as_such_and_passes(
    writer: Writer, database: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages + 2}")

    results = await together(writer, add(1), add(2, b"x" * 100_000))

    assert [(type(r), r.full) for r in results] == [(SpoolError, True)] * 2
    assert results[0] is not results[1]
    assert "the disk is full" in str(writer.trouble)
    assert "the disk is full" in caplog.text
    await writer.submit(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone())
    assert await writer.submit(add(2, b"x" * 100_000)) == 2
    assert writer.trouble is None


async def test_a_locked_database_is_told_as_such(writer: Writer, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(SpoolError, match="another program") as caught:
        await writer.submit(add(1))

    assert not caught.value.full
    other.execute("ROLLBACK")
    other.close()
    assert await writer.submit(add(1)) == 1


async def test_a_read_only_file_system_is_told_as_such(writer: Writer, database: Counting) -> None:
    database.execute("PRAGMA query_only = 1")

    with pytest.raises(SpoolError, match="read-only"):
        await writer.submit(add(1))


async def test_trouble_while_running_one_by_one_fails_all(
    writer: Writer, database: Counting
) -> None:
    def bad(database: Database) -> None:
        add(1)(database)

    def worse(database: Database) -> None:
        database.execute("ROLLBACK")  # as SQLite does by itself on some errors
        raise sqlite3.OperationalError("disk I/O error")

    results = await together(writer, add(1), bad, worse)

    assert all(isinstance(result, SpoolError) for result in results)
    assert await present(writer) == []


async def test_a_result_nobody_waits_for_is_handed_over(writer: Writer) -> None:
    left: list[int] = []
    gate = Gate(writer)
    unwanted = writer.submit(add(1), left.append)
    refused = writer.submit(add(1), left.append)
    unwanted.cancel()
    refused.cancel()
    gate.open()

    assert await present(writer) == [1]
    assert left == [1]


async def test_close_finishes_what_is_queued(database: Counting) -> None:
    writer = Writer(database, asyncio.get_running_loop())
    futures = [writer.submit(add(number)) for number in range(BATCH * 2)]

    await writer.close()
    await writer.close()

    assert await asyncio.gather(*futures) == list(range(BATCH * 2))
    assert database.said[-1] == "closed"
    with pytest.raises(SpoolError, match="closed"):
        writer.submit(add(1))


def test_a_loop_that_is_gone_does_not_break_the_thread(
    database: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.new_event_loop()
    writer = Writer(database, loop)
    gate = Gate(writer)
    loop.close()
    gate.open()

    asyncio.run(writer.close())

    assert "event loop ended" in caplog.text
    assert database.said[-1] == "closed"
