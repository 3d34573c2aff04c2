"""Waiting for what arrives, and reading the counters of smtp-sink."""

from pathlib import Path

import pytest

from tests.bench.load import Sink, files, fitting, wait_count
from tests.bench.peer import Failed


def test_files_of_a_directory_that_is_not_there_yet_are_none(tmp_path: Path) -> None:
    assert files(tmp_path / "new") == 0


def test_files_are_counted(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()

    assert files(tmp_path) == 2


@pytest.mark.parametrize(("seconds", "expected"), [(0.5, 4000), (2, 2000), (400, 400)])
def test_a_slow_server_gets_less_to_do(seconds: float, expected: int) -> None:
    times = iter([100, 100 + seconds])

    assert fitting(4000, 400, lambda: None, lambda: next(times)) == expected


def test_the_goal_is_waited_for() -> None:
    counts = iter([0, 3, 5, 9])

    wait_count(lambda: next(counts), 8, "messages")

    assert list(counts) == []


def test_a_server_that_stops_delivering_has_failed() -> None:
    with pytest.raises(Failed, match="3 of 8 messages, and no more come"):
        wait_count(lambda: 3, 8, "messages", patience=0)


@pytest.mark.parametrize(
    ("counters", "received"),
    [
        ("", 0),
        ("sess=1 quit=0 mesg=0\r", 0),
        ("sess=1 quit=0 mesg=1\rsess=1 quit=1 mesg=2\r", 2),
        ("sess=1 quit=0 mesg=41\rsess=1 quit=1 mesg=4", 41),  # the last line is not whole yet
        ("sess=1 quit=0 mesg=7\r" * 50, 7),
    ],
)
def test_the_last_whole_counters_of_the_sink_count(
    counters: str, received: int, tmp_path: Path
) -> None:
    file = tmp_path / "counters"
    file.write_text(counters)

    assert Sink(file).received() == received
