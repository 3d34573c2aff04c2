"""What accounts have sent, in a file: the hour, the known recipients, the holds."""

import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from notqmail.mail.address import Address
from notqmail.mail.sending import LEAST, Hold, SendingLimits
from notqmail.system.sending_file import FORGET, VERSION, SendingFile
from tests.support.clock import EPOCH

ALICE, CAROL = "alice@example.org", "carol@example.org"
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
START = EPOCH - EPOCH % MINUTE
FIVE = SendingLimits(messages=5)
NEW = SendingLimits(new_recipients=3)
SIZE = 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sending.sqlite"


@pytest.fixture
def file(path: Path) -> Iterator[SendingFile]:
    with closing(SendingFile(path, START)) as file:
        yield file


def people(*names: str) -> list[Address]:
    return [Address(name, "example.net") for name in names or ("bob",)]


def send(file: SendingFile, times: int = 1, at: float = START, account: str = ALICE) -> list[bool]:
    """Send messages within the limit of five; say for each whether it is held."""
    return [file.count(account, people(), SIZE, FIVE, at) is not None for _ in range(times)]


def test_what_is_over_the_limit_of_an_hour_is_held(file: SendingFile) -> None:
    assert send(file, 7) == [False] * 5 + [True] * 2

    reason = "6 messages within an hour, submission.messages_per_hour is 5"
    assert file.holds() == [Hold(ALICE, START, reason, kept=2 * LEAST)]


def test_an_account_stays_held_however_much_time_passes(file: SendingFile) -> None:
    send(file, 6)

    assert send(file, at=START + 30 * DAY) == [True]


def test_the_hour_slides(file: SendingFile) -> None:
    for minute in range(0, 60, 12):
        assert send(file, at=START + minute * MINUTE) == [False]

    assert send(file, at=START + HOUR) == [False]  # the first has left the window
    assert send(file, at=START + HOUR + 11 * MINUTE) == [True]


def test_an_hour_is_never_counted_short(file: SendingFile) -> None:
    send(file, 5, at=START)

    assert send(file, at=START + HOUR - 1) == [True]


def test_accounts_are_counted_apart(file: SendingFile) -> None:
    send(file, 6)

    assert send(file, 5, account=CAROL) == [False] * 5


def test_a_clock_set_back_leaves_no_count_behind(file: SendingFile) -> None:
    send(file, 5, at=START + 365 * DAY)

    assert send(file, 5, at=START) == [False] * 5


def test_recipients_are_counted_whoever_they_are(file: SendingFile) -> None:
    limits = SendingLimits(recipients=4)

    assert file.count(ALICE, people("a", "b"), SIZE, limits, START) is None
    assert file.count(ALICE, people("a", "a"), SIZE, limits, START) is None
    assert file.count(ALICE, people("a"), SIZE, limits, START) is not None


def test_only_who_was_never_written_to_is_new(file: SendingFile) -> None:
    for day in range(5):
        assert file.count(ALICE, people("a", "b", "c"), SIZE, NEW, START + day * DAY) is None

    assert file.count(ALICE, people("A", "B", "d", "d"), SIZE, NEW, START + 5 * DAY) is None
    hold = file.count(ALICE, people("e", "f", "g", "h"), SIZE, NEW, START + 6 * DAY)
    assert hold is not None
    assert hold.reason == (
        "4 new recipients within an hour, submission.new_recipients_per_hour is 3"
    )


def test_who_one_account_knows_is_new_to_another(file: SendingFile) -> None:
    file.count(ALICE, people("a", "b", "c"), SIZE, NEW, START)

    assert file.count(CAROL, people("a", "b", "c", "d"), SIZE, NEW, START) is not None


def test_after_a_release_the_recipients_of_the_held_message_are_known(file: SendingFile) -> None:
    list_ = people("a", "b", "c", "d", "e")
    assert file.count(ALICE, list_, SIZE, NEW, START) is not None
    file.release(ALICE)

    assert file.count(ALICE, list_, SIZE, NEW, START) is None


def test_what_a_held_account_sends_is_not_remembered(file: SendingFile) -> None:
    file.count(ALICE, people("a", "b", "c", "d"), SIZE, NEW, START)
    file.count(ALICE, people("e", "f", "g", "h"), SIZE, NEW, START)
    file.release(ALICE)

    assert file.count(ALICE, people("e", "f", "g", "h"), SIZE, NEW, START) is not None


def test_over_the_bound_who_was_not_written_to_for_longest_is_forgotten(file: SendingFile) -> None:
    limits = SendingLimits(new_recipients=1, known=3)
    for day, name in enumerate("abc"):
        assert file.count(ALICE, people(name), SIZE, limits, START + day * DAY) is None
    assert file.count(ALICE, people("a"), SIZE, limits, START + 3 * DAY) is None
    assert file.count(ALICE, people("d"), SIZE, limits, START + 4 * DAY) is None  # b goes

    assert file.count(ALICE, people("a", "c", "d"), SIZE, limits, START + 5 * DAY) is None
    assert file.count(ALICE, people("b"), SIZE, limits, START + 6 * DAY) is None
    later = START + 6 * DAY
    assert (
        file.count(ALICE, people("e"), SIZE, limits, later) is not None
    )  # b was new, so e is the second


def test_of_a_held_account_no_more_is_kept_than_fits(file: SendingFile) -> None:
    limits = SendingLimits(recipients=1, kept=100_000)

    def full(size: int) -> bool:
        hold = file.count(ALICE, people("a", "b"), size, limits, START)
        assert hold is not None
        return hold.full(limits)

    assert [full(60_000), full(60_000), full(30_000), full(1), full(1), full(1)] == [
        *[False, True, False, False, False, True]
    ]
    assert file.holds()[0].kept == 90_000 + 2 * LEAST
    file.release(ALICE)
    assert not full(60_000)


def test_a_release_begins_the_hour_anew(file: SendingFile) -> None:
    send(file, 6)

    assert file.release(ALICE)

    assert file.holds() == []
    assert send(file, 6) == [False] * 5 + [True]


def test_who_is_not_held_cannot_be_released(file: SendingFile) -> None:
    assert not file.release(ALICE)


def test_the_postmaster_is_told_of_one_hold_and_not_of_the_next(file: SendingFile) -> None:
    send(file, 6)
    send(file, 6, at=START + 1, account=CAROL)

    file.told(ALICE)

    assert [(hold.account, hold.told) for hold in file.holds()] == [(ALICE, True), (CAROL, False)]
    file.release(ALICE)
    send(file, 6, at=START + 2)
    assert [(hold.account, hold.told) for hold in file.holds()] == [(CAROL, False), (ALICE, False)]


@pytest.mark.parametrize("end", [SendingFile.close, lambda file: None])
def test_a_restart_forgets_nothing(path: Path, end: Callable[[SendingFile], None]) -> None:
    file = SendingFile(path, START)
    send(file, 6)
    send(file, 4, account=CAROL)
    file.count("x", people("a", "b", "c"), SIZE, NEW, START)
    end(file)

    with closing(SendingFile(path, START + MINUTE)) as new:
        assert [hold.account for hold in new.holds()] == [ALICE]
        assert send(new, 2, at=START + MINUTE, account=CAROL) == [False, True]
        assert new.count("x", people("a", "b", "c"), SIZE, NEW, START + HOUR) is None
    file.close()


def test_what_is_old_is_forgotten_at_a_start(path: Path) -> None:
    file = SendingFile(path, START)
    file.count(ALICE, people("a", "b", "c"), SIZE, NEW, START)

    file.close()

    SendingFile(path, START + (FORGET + 1) * DAY).close()

    with closing(sqlite3.connect(path)) as db:
        counts = [db.execute(f"SELECT count(*) FROM {t}").fetchone() for t in ("sent", "known")]
    assert counts == [(0,), (0,)]


def test_the_file_is_bounded_and_tells_nobody_who_wrote_to_whom(
    path: Path, file: SendingFile
) -> None:
    limits = SendingLimits(known=50)
    for number in range(400):
        names = people(f"u{number}", f"v{number}")
        file.count(ALICE, names, SIZE, limits, START + number * MINUTE)

    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM known").fetchone() == (50,)
        assert db.execute("SELECT count(*) FROM sent").fetchone() == (60,)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"example.net" not in path.read_bytes() + path.with_name(path.name + "-wal").read_bytes()


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")

    with pytest.raises(sqlite3.NotSupportedError, match="newer than us"):
        SendingFile(path, START)
