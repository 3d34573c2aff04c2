"""The journal on disk: written off the loop, found by any name, bounded in time, size and memory."""

import asyncio
import resource
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from notqmail.config import JournalSection, Seconds, Size
from notqmail.system.journal import SqliteJournal
from notqmail.system.journal_file import VERSION
from tests.support import records
from tests.support.clock import EPOCH, FakeClock
from tests.support.policy import ALICE
from tests.support.records import ID

DAY = 86400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
async def journal(path: Path, clock: FakeClock) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal(path, JournalSection(), clock)
    yield journal
    await journal.close()


def kinds(found: Any) -> list[str]:
    return [record["kind"] for record in found]


# Finding


@pytest.mark.parametrize(
    "ref", [ID, "<one@example.net>", "Alice@Example.org", "bob@example.net", "192.0.2.1"]
)
async def test_a_message_is_found_by_any_of_its_names(journal: SqliteJournal, ref: str) -> None:
    journal.write(records.accepted())

    assert await journal.find(ref) == [records.accepted()]


async def test_a_refusal_is_found_by_its_reference(journal: SqliteJournal) -> None:
    journal.write({**records.refused("K7Q2M4XW"), "id": "1ONE"})
    journal.write({**records.refused("ABCDEFGH"), "id": "1TWO"})

    (found,) = await journal.find("[ref K7Q2M4XW]")

    assert found["ref"] == "K7Q2M4XW"


async def test_an_unknown_name_finds_nothing(journal: SqliteJournal) -> None:
    journal.write(records.accepted())

    assert await journal.find("nobody@example.org") == []


async def test_by_any_name_the_whole_life_of_the_message_is_found_newest_first(
    journal: SqliteJournal,
) -> None:
    journal.write(records.accepted())
    journal.write(records.attempted(at=EPOCH + 1))
    journal.write(records.bounced(at=EPOCH + 2))

    assert kinds(await journal.find("<one@example.net>")) == ["origin", "attempt", "transaction"]


async def test_no_more_is_found_than_was_asked_for(journal: SqliteJournal) -> None:
    for number in range(20):
        journal.write(records.accepted(id=f"1ID{number}", at=EPOCH + number))

    found = await journal.find("192.0.2.1", limit=3)

    assert [record["id"] for record in found] == ["1ID19", "1ID18", "1ID17"]


async def test_many_records_are_found_across_pages_and_batches(journal: SqliteJournal) -> None:
    for number in range(300):
        journal.write(records.accepted(id=f"1ID{number}"))
        if number % 100 == 0:
            await journal.flush()

    assert [len(await journal.find(f"1id{number}")) for number in (0, 63, 64, 299)] == [1] * 4
    assert len(await journal.find("192.0.2.1", limit=1000)) == 300


async def test_another_name_with_the_same_checksum_is_not_taken_for_it(
    journal: SqliteJournal,
) -> None:
    # "plumless" and "buckeroo" share a CRC-32
    journal.write({**records.dropped(), "ip": "plumless"})

    assert await journal.find("buckeroo") == []
    assert len(await journal.find("plumless")) == 1


# Lasting


async def test_what_was_written_is_there_after_a_restart(path: Path, clock: FakeClock) -> None:
    for number in range(3):
        journal = SqliteJournal(path, JournalSection(), clock)
        journal.write(records.accepted(id=f"1ID{number}"))
        await journal.close()

    journal = SqliteJournal(path, JournalSection(), clock)
    assert len(await journal.find("192.0.2.1")) == 3
    await journal.close()


async def test_only_we_may_read_it(journal: SqliteJournal, path: Path) -> None:
    await journal.flush()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_journal_that_was_never_used_makes_no_file(path: Path, clock: FakeClock) -> None:
    await SqliteJournal(path, JournalSection(), clock).close()

    assert not path.exists()


async def test_after_the_end_records_are_counted_and_questions_refused(
    journal: SqliteJournal,
) -> None:
    await journal.close()
    await journal.close()

    journal.write(records.accepted())

    assert journal.dropped == 1
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        await journal.find(ID)


async def test_a_question_that_is_given_up_hurts_nobody(journal: SqliteJournal) -> None:
    asking = asyncio.ensure_future(journal.find(ID))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    journal.write(records.accepted())
    assert len(await journal.find(ID)) == 1


# Bounds


async def test_records_are_forgotten_after_the_retention(path: Path, clock: FakeClock) -> None:
    journal = SqliteJournal(path, JournalSection(retention=Seconds(30 * DAY)), clock)
    journal.write(records.accepted(id="1OLD"))
    await journal.flush()

    clock.advance(20 * DAY)
    journal.write(records.accepted(id="1NEW", at=clock.now()))
    assert len(await journal.find("192.0.2.1")) == 2

    clock.advance(11 * DAY)
    assert [r["id"] for r in await journal.find("192.0.2.1")] == ["1NEW"]
    await journal.close()


async def test_what_is_forgotten_leaves_the_disk(path: Path, clock: FakeClock) -> None:
    journal = SqliteJournal(path, JournalSection(retention=Seconds(DAY)), clock)
    for day in range(10):
        journal.write(records.accepted(id=f"1ID{day}", at=clock.now()))
        await journal.flush()
        clock.advance(DAY)
    await journal.close()

    with sqlite3.connect(path) as db:
        slices = db.execute("SELECT count(*) FROM slice").fetchone()
        tables = db.execute(
            "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'page_*'"
        ).fetchone()
    db.close()
    assert slices == tables
    assert slices[0] <= 2


async def test_the_file_stays_within_its_size_and_keeps_the_newest(
    path: Path, clock: FakeClock
) -> None:
    size = 512 << 10
    journal = SqliteJournal(path, JournalSection(size=Size(size)), clock)
    for number in range(2000):
        journal.write(records.accepted(id=f"1ID{number}", at=EPOCH + number))
        if number % 100 == 99:
            await journal.flush()

    found = [record["id"] for record in await journal.find("192.0.2.1", limit=10_000)]
    await journal.close()

    assert path.stat().st_size <= size
    assert len(found) > 300
    assert found == [f"1ID{number}" for number in range(1999, 1999 - len(found), -1)]


class Held(SqliteJournal):
    """A journal whose thread never starts: everything waits."""

    def _start(self) -> None:
        """Do not."""


def test_what_waits_is_bounded_and_the_rest_counted(path: Path, clock: FakeClock) -> None:
    journal = Held(path, JournalSection(backlog=100), clock)

    for _ in range(150):
        journal.write(records.accepted())

    assert journal.dropped == 50


def test_recipients_of_what_waits_are_bounded_too(path: Path, clock: FakeClock) -> None:
    journal = Held(path, JournalSection(backlog=100), clock)

    for _ in range(10):
        journal.write(records.accepted(*[ALICE] * 300))

    assert journal.dropped == 7


# Trouble


async def test_a_record_that_is_no_json_is_lost_alone(journal: SqliteJournal) -> None:
    journal.write(records.accepted(id="1BEFORE"))
    journal.write({**records.accepted(id="1ODD"), "helo": "\udcff"})
    journal.write(records.accepted(id="1AFTER"))

    assert {r["id"] for r in await journal.find("192.0.2.1")} == {"1BEFORE", "1AFTER"}
    assert journal.dropped == 1


async def test_a_record_of_no_known_shape_does_not_end_the_thread(
    journal: SqliteJournal, caplog: pytest.LogCaptureFixture
) -> None:
    journal.write({"kind": "odd", "outcomes": [1]})
    await journal.flush()
    journal.write(records.accepted())

    assert len(await journal.find(ID)) == 1
    assert journal.dropped == 1
    assert "journal fails" in caplog.text


async def test_a_disk_that_cannot_be_written_costs_records_until_it_can(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "missing"
    journal = SqliteJournal(folder / "journal.sqlite", JournalSection(), clock)
    for _ in range(3):
        journal.write(records.accepted())
        with pytest.raises(FileNotFoundError):
            await journal.flush()
    assert journal.dropped == 3
    assert caplog.text.count("journal fails path=") == 1

    folder.mkdir()
    journal.write(records.accepted())

    assert len(await journal.find(ID)) == 1
    assert "journal works again dropped=3" in caplog.text
    await journal.close()


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow beyond 256 KB: for SQLite the disk is full then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 10, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_disk")
async def test_a_full_disk_costs_records_and_nothing_else(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    journal = SqliteJournal(path, JournalSection(), clock)
    for number in range(3000):
        journal.write(records.accepted(id=f"1ID{number}"))
        if number % 300 == 299:
            await journal.flush()

    assert 0 < journal.dropped < 3000
    assert len(await journal.find("1ID0")) == 1
    assert "journal fails error=" in caplog.text
    await journal.close()


async def test_a_damaged_file_is_put_aside(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    journal = SqliteJournal(path, JournalSection(), clock)

    journal.write(records.accepted())
    await journal.flush()
    journal.write(records.accepted())

    assert len(await journal.find(ID)) == 1
    assert journal.dropped == 1
    assert "file is not a database" in caplog.text
    assert path.with_name("journal.sqlite.broken").exists()
    await journal.close()


async def test_the_journal_of_a_newer_version_is_left_alone(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    before = path.read_bytes()
    journal = SqliteJournal(path, JournalSection(), clock)

    journal.write(records.accepted())
    with pytest.raises(sqlite3.NotSupportedError, match="newer than us"):
        await journal.flush()
    await journal.close()

    assert journal.dropped == 1
    assert path.read_bytes() == before
