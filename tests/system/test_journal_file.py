"""The journal's database by itself: slices."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from notqmail.system.journal_file import SLICES_BY_AGE, JournalFile, latest
from tests.support import records
from tests.support.clock import EPOCH

DAY = 86400.0
SPAN = DAY / SLICES_BY_AGE


@pytest.fixture
def file(tmp_path: Path) -> Iterator[JournalFile]:
    file = JournalFile(tmp_path / "journal.sqlite", DAY, 1 << 30)
    yield file
    file.close()


def ids(file: JournalFile, since: float = 0.0) -> list[str]:
    return [record["id"] for record in file.find("192.0.2.1", 100, since)]


def add(file: JournalFile, id: str, at: float) -> None:
    assert file.add([records.accepted(id=id, at=at)], at) == 0


def test_slices_are_read_as_one(file: JournalFile) -> None:
    for number in range(5):
        add(file, f"1ID{number}", EPOCH + number * SPAN)

    assert ids(file) == ["1ID4", "1ID3", "1ID2", "1ID1", "1ID0"]


def test_a_slice_goes_when_its_newest_record_is_too_old(file: JournalFile) -> None:
    add(file, "1OLD", EPOCH)
    add(file, "1NEW", EPOCH + SPAN)

    file.prune(EPOCH + DAY + 1)

    assert ids(file) == ["1NEW"]


def test_writing_goes_on_after_everything_was_forgotten(file: JournalFile) -> None:
    add(file, "1OLD", EPOCH)
    file.prune(EPOCH + 2 * DAY)
    assert ids(file) == []

    add(file, "1NEW", EPOCH + 2 * DAY)

    assert ids(file) == ["1NEW"]


def test_writing_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    for number in range(3):
        file = JournalFile(path, DAY, 1 << 30)
        add(file, f"1ID{number}", EPOCH + number)
        found = ids(file)
        file.close()

    assert found == ["1ID2", "1ID1", "1ID0"]


def test_what_is_older_than_asked_for_is_not_found(file: JournalFile) -> None:
    add(file, "1OLD", EPOCH)
    add(file, "1NEW", EPOCH + 10)

    assert ids(file, since=EPOCH + 5) == ["1NEW"]


def test_the_newest_records_are_read_beside_the_writer(file: JournalFile, tmp_path: Path) -> None:
    for number in range(5):
        add(file, f"1ID{number}", EPOCH + number * SPAN / 2)
    path = tmp_path / "journal.sqlite"

    assert [record["id"] for record in latest(path, 3)] == ["1ID4", "1ID3", "1ID2"]
    assert len(latest(path, 100)) == 5


def test_where_there_is_no_journal_there_are_no_records(tmp_path: Path) -> None:
    assert latest(tmp_path / "journal.sqlite", 3) == []
    assert list(tmp_path.iterdir()) == []
