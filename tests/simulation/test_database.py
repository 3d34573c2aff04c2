"""SQLite on the simulated disk: errors as the real ones are, salts from the seed, a rollback where the power failed."""

import errno
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from notqmail.store.database import set_up_reader, set_up_writer, trouble
from tests.simulation.database import Databases
from tests.simulation.disk import SimulatedDisk

FILE = Path("/data/queue.sqlite")


class Process:
    """One that uses the database."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self.databases = Databases(disk.mount(lambda: None), disk.chance)
        self.writer = self.databases.connect(FILE)
        set_up_writer(self.writer)

    def rows(self) -> list[int]:
        return [a for (a,) in self.writer.execute("SELECT a FROM t ORDER BY a")]

    def add(self, a: int) -> None:
        self.writer.execute("INSERT INTO t VALUES (?)", (a,))

    def commit(self, a: int) -> None:
        self.writer.execute("BEGIN IMMEDIATE")
        self.add(a)
        self.writer.execute("COMMIT")


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(random.Random(0), Path("/data"))


@pytest.fixture
def process(disk: SimulatedDisk) -> Iterator[Process]:
    process = Process(disk)
    process.writer.execute("CREATE TABLE t (a PRIMARY KEY)")
    yield process
    process.databases.end()


def test_what_is_committed_survives_the_end_of_power(disk: SimulatedDisk, process: Process) -> None:
    process.commit(1)
    process.writer.execute("BEGIN IMMEDIATE")
    process.add(2)

    disk.crash("power")
    process.databases.end()

    again = Process(disk)
    assert again.rows() == [1]
    again.databases.end()


def test_who_closes_folds_the_log(disk: SimulatedDisk, process: Process) -> None:
    process.commit(1)
    assert "queue.sqlite-wal" in disk.content()

    process.writer.close()

    assert list(disk.content()) == ["queue.sqlite"]


def test_the_log_is_folded_from_time_to_time(disk: SimulatedDisk, process: Process) -> None:
    before = len(disk.content()["queue.sqlite"])
    for number in range(200):
        process.commit(number)

    assert len(disk.content()["queue.sqlite"]) > before
    assert process.rows() == list(range(200))


def test_a_reader_sees_what_is_committed_and_sets_up_nothing(process: Process) -> None:
    reader = process.databases.connect(FILE)
    set_up_reader(reader)
    process.commit(1)

    assert reader.execute("SELECT a FROM t").fetchall() == [(1,)]
    assert not reader.in_transaction
    reader.close()
    process.commit(2)
    assert process.rows() == [1, 2]


@pytest.mark.parametrize(
    ("weather", "words"),
    [
        ("room", "the disk is full"),
        ("read_only", "the file system is read-only"),
        ("bad_syncs", "the disk failed"),
        ("dead", "the disk failed"),
    ],
)
def test_trouble_has_the_name_that_a_real_one_has(
    disk: SimulatedDisk, process: Process, weather: str, words: str
) -> None:
    if weather == "dead":
        disk.crash("kill")
    else:
        setattr(disk, weather, {"room": 0, "read_only": True, "bad_syncs": 1.0}[weather])

    with pytest.raises(sqlite3.OperationalError) as raised:
        process.commit(1)

    assert str(trouble(raised.value)).startswith(words)


def test_after_the_trouble_it_goes_on(disk: SimulatedDisk, process: Process) -> None:
    process.commit(1)
    disk.bad_syncs = 1.0
    with pytest.raises(sqlite3.OperationalError):
        process.commit(2)
    if process.writer.in_transaction:
        process.writer.execute("ROLLBACK")
    disk.bad_syncs = 0.0
    process.commit(3)

    disk.crash("power")
    process.databases.end()

    again = Process(disk)
    assert again.rows() in ([1, 3], [1, 2, 3])
    again.databases.end()


class Picky(SimulatedDisk):
    """Cannot sync one of its files."""

    bad = -1

    def sync(self, inode: int, path: object) -> None:
        if inode == self.bad:
            raise OSError(errno.EIO, "this file is bad")
        super().sync(inode, path)


def test_a_fold_that_fails_does_not_fail_the_commit_before_it() -> None:
    disk = Picky(random.Random(0), Path("/data"))
    process = Process(disk)
    process.writer.execute("CREATE TABLE t (a PRIMARY KEY)")
    database = disk.tree.find("queue.sqlite")
    assert database is not None
    disk.bad = database

    for number in range(200):
        process.commit(number)

    disk.crash("power")
    process.databases.end()
    again = Process(disk)
    assert again.rows() == list(range(200))
    again.databases.end()


def test_a_row_that_is_there_already_is_an_integrity_error(process: Process) -> None:
    process.commit(1)

    with pytest.raises(sqlite3.IntegrityError):
        process.add(1)


def test_the_same_seed_writes_the_same_octets() -> None:
    def octets() -> dict[str, bytes]:
        disk = SimulatedDisk(random.Random(7), Path("/data"))
        process = Process(disk)
        process.writer.execute("CREATE TABLE t (a PRIMARY KEY)")
        process.commit(1)
        process.databases.end()
        return dict(disk.content())

    assert octets() == octets()


def test_nothing_stays_registered(disk: SimulatedDisk) -> None:
    before = apsw.vfs_names()
    process = Process(disk)
    process.databases.end()

    assert apsw.vfs_names() == before
