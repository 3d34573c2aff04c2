"""Claims stay cheap in a large queue: every statement on the way of mail finds its rows by an index."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from notqmail.store import migrate, ops

STATEMENTS = {
    "delete entry": ops.DELETE_ENTRY,
    "delete recipients": ops.DELETE_RECIPIENTS,
    "delete message": ops.DELETE_MESSAGE,
    "earliest": ops.EARLIEST,
    "destinations": ops.DESTINATIONS,
    "due": ops.DUE,
    "lease": ops.LEASE,
    "message": ops.ONE_MESSAGE,
    "recipients": ops.RECIPIENTS,
}


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        migrate.upgrade(database, migrate.steps())
        yield database


def fill(database: sqlite3.Connection, destination: str, entries: int, due: float) -> None:
    """Put waiting entries into the queue, one recipient each."""
    name = destination.removeprefix("smtp:")
    ids = [f"{name}{number:07}" for number in range(entries)]
    database.execute("BEGIN")
    database.executemany(
        "INSERT INTO message (id, born, size, file, content) VALUES (?, 0, 0, 0, x'')",
        [(id,) for id in ids],
    )
    database.executemany(
        "INSERT INTO entry VALUES (?, ?, 0, 1, ?, 0, 0, 0, 1)",
        [(id, destination, due + number) for number, id in enumerate(ids)],
    )
    ops.touch(database, destination)
    database.execute("COMMIT")


def cost(
    database: sqlite3.Connection, now: float, limit: int, skip: ops.Skipped
) -> tuple[int, int]:
    """Claim; give how many entries came and how many tens of SQLite's instructions it took."""
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1

    database.set_progress_handler(tick, 10)
    taken = ops.take(database, now, limit, skip)
    database.set_progress_handler(None, 0)
    return len(taken), ticks


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_on_the_way_of_mail_scans_no_table(
    database: sqlite3.Connection, name: str
) -> None:
    sql = STATEMENTS[name]
    parameters = [0] * max(sql.count("?") - 2 * sql.count("?1") + sql.count("?1") // 2, 1)

    plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]

    assert not [step for step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step], plan


def test_next_due_walks_the_index_of_destinations(database: sqlite3.Connection) -> None:
    (step,) = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {ops.BY_DUE}")]

    assert step == "SCAN destination USING COVERING INDEX destination_due"


def test_a_dead_destination_does_not_slow_the_others(database: sqlite3.Connection) -> None:
    fill(database, "smtp:live", 50, due=1000.0)
    alone = cost(database, 5000.0, 10, ops.Skipped({"smtp:dead"}))
    fill(database, "smtp:dead", 20_000, due=0.0)

    beside = cost(database, 5000.0, 10, ops.Skipped({"smtp:dead"}))

    assert alone[0] == beside[0] == 10
    assert beside[1] < alone[1] + 20


def test_a_claim_costs_what_it_takes_and_not_what_waits(database: sqlite3.Connection) -> None:
    for number in range(20):
        fill(database, f"smtp:d{number}", 5, due=float(number))
    few = cost(database, 1e9, 10, ops.Skipped())
    for number in range(20, 220):
        fill(database, f"smtp:d{number}", 100, due=float(number))

    many = cost(database, 1e9, 10, ops.Skipped())

    assert few[0] == many[0] == 10
    assert many[1] < few[1] * 1.5 + 20


def test_next_due_costs_one_row_for_each_destination_skipped(
    database: sqlite3.Connection,
) -> None:
    fill(database, "smtp:dead", 5000, due=0.0)
    fill(database, "smtp:live", 1, due=9.0)

    assert ops.next_due(database, ops.Skipped({"smtp:dead"})) == 9.0
    assert ops.next_due(database, ops.Skipped()) == 0.0


def test_passing_over_a_transport_costs_one_row_for_each_of_its_destinations(
    database: sqlite3.Connection,
) -> None:
    fill(database, "local:alice@example.org", 20, due=9.0)
    alone = cost(database, 5000.0, 10, ops.Skipped.of([], "smtp"))
    fill(database, "smtp:far.example", 5000, due=0.0)

    beside = cost(database, 5000.0, 10, ops.Skipped.of([], "smtp"))

    assert alone[0] == beside[0] == 10
    assert beside[1] < alone[1] + 20
