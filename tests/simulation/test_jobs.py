"""Pools and the writer that run in the simulated loop: the store's own tests of the thread say what is expected."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from notqmail.mail.errors import SpoolError
from notqmail.store.commits import BATCH
from notqmail.store.database import Database
from tests.simulation.jobs import LoopPool, LoopWriter
from tests.simulation.loop import SimulatedLoop, simulate


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (a PRIMARY KEY)")
        yield connection


def add(a: int) -> Callable[[Database], int]:
    def run(database: Database) -> int:
        database.execute("INSERT INTO t VALUES (?)", (a,))
        return a

    return run


def rows(database: sqlite3.Connection) -> list[int]:
    return [a for (a,) in database.execute("SELECT a FROM t ORDER BY a")]


def test_results_come_after_the_commit_and_in_order(database: sqlite3.Connection) -> None:
    async def main(loop: SimulatedLoop) -> list[int]:
        writer = LoopWriter(database, loop)
        first = writer.submit(add(1))
        assert rows(database) == []
        await first
        assert rows(database) == [1]
        assert not database.in_transaction
        return await asyncio.gather(*(writer.submit(add(n)) for n in range(2, BATCH + 50)))

    assert simulate(0, main) == list(range(2, BATCH + 50))


def test_the_culprit_alone_fails(database: sqlite3.Connection) -> None:
    async def main(loop: SimulatedLoop) -> list[object]:
        writer = LoopWriter(database, loop)
        waiting = [writer.submit(add(n)) for n in (1, 1, 2)]
        return list(await asyncio.gather(*waiting, return_exceptions=True))

    one, culprit, two = simulate(0, main)
    assert (one, two) == (1, 2)
    assert isinstance(culprit, SpoolError)


def test_what_nobody_waits_for_any_more_is_given_back(database: sqlite3.Connection) -> None:
    async def main(loop: SimulatedLoop) -> list[int]:
        writer, unclaimed = LoopWriter(database, loop), list[int]()
        waiting = writer.submit(add(1), unclaimed.append)
        waiting.cancel()
        await writer.submit(add(2))
        return unclaimed

    assert simulate(0, main) == [1]


def test_closing_finishes_what_is_queued(database: sqlite3.Connection) -> None:
    closed: list[bool] = []

    class Watched:
        in_transaction = False
        execute = database.execute

        def close(self) -> None:
            closed.append(True)

    async def main(loop: SimulatedLoop) -> int:
        writer = LoopWriter(Watched(), loop)
        waiting = writer.submit(add(1))
        await writer.close()
        await writer.close()
        with pytest.raises(SpoolError, match="closed"):
            writer.submit(add(2))
        return await waiting

    assert simulate(0, main) == 1
    assert closed == [True]


def test_a_pool_gives_results_errors_and_drops_what_was_cancelled() -> None:
    async def main(_: SimulatedLoop) -> int:
        pool = LoopPool(4, "files")
        bad = pool.submit(int, "x")
        dropped = pool.submit(int, "1")
        assert dropped.cancel()
        good = await asyncio.wrap_future(pool.submit(int, "2"))
        with pytest.raises(ValueError, match="invalid literal"):
            await asyncio.wrap_future(bad)
        return good

    assert simulate(0, main) == 2


def test_a_job_takes_the_time_that_the_disk_says() -> None:
    async def main(loop: SimulatedLoop) -> float:
        loop.took = lambda: 5.0
        await asyncio.wrap_future(LoopPool().submit(int))
        return loop.time()

    assert 5.0 < simulate(0, main) < 5.1
