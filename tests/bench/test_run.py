"""A run: who is measured when, what becomes of failures, and that nothing is left of it."""

import io
import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from tests.bench import ground, run
from tests.bench.fakes import ABOUT, FakePeer, FakeWorkload, contestant
from tests.bench.options import Options
from tests.bench.peer import Failed, Figures, Running, Unavailable
from tests.bench.results import Outcome, Results
from tests.bench.run import Turn, measure, tell, turns
from tests.bench.stopping import Stopped, stoppable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def _measure(planned: list[Turn], disk: Path) -> Results:
    results = Results()
    measure(planned, disk, results, io.StringIO())
    return results


def test_another_server_begins_in_each_round() -> None:
    servers = [contestant(key) for key in ("notqmail", "postfix", "exim")]

    planned = turns(4, [FakeWorkload()], servers)

    assert [turn.contestant.key for turn in planned] == [
        *("notqmail", "postfix", "exim"),
        *("postfix", "exim", "notqmail"),
        *("exim", "notqmail", "postfix"),
        *("notqmail", "postfix", "exim"),
    ]


def test_what_takes_long_is_measured_in_the_first_rounds_only() -> None:
    @dataclass(frozen=True, slots=True)
    class Slow(FakeWorkload):
        most_rounds: int = 1

    planned = turns(3, [FakeWorkload("W1"), Slow("W6")], [contestant("notqmail")])

    assert [turn.workload.name for turn in planned] == ["W1", "W6", "W1", "W1"]


def test_what_a_server_lacks_is_not_tried() -> None:
    servers = [contestant("notqmail", FakePeer(missing={"W4": "no STARTTLS"})), contestant("exim")]

    planned = turns(1, [FakeWorkload("W4")], servers)

    assert [turn.pair for turn in planned] == [("W4", "exim")]


def test_each_measurement_has_a_new_server_and_directory_and_leaves_none(tmp_path: Path) -> None:
    peer = FakePeer()
    planned = list(turns(2, [FakeWorkload()], [contestant("fake", peer)]))

    results = _measure(planned, tmp_path)

    assert [each.figures for each in results.outcomes] == [Figures(100, 2.5, 30_000_000)] * 2
    (first, one), (second, other) = peer.started
    assert first != second
    assert one != other
    _nothing_is_left(peer, tmp_path)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Failed("3 of 8 messages arrived"), "3 of 8 messages arrived"),
        (TypeError("a mistake"), "TypeError: a mistake"),
    ],
)
def test_a_failure_is_written_down_and_the_others_go_on(
    error: Exception, said: str, tmp_path: Path
) -> None:
    def fail(server: Running) -> NoReturn:
        raise error

    peer = FakePeer()
    servers = [contestant("fake", peer)]
    planned = list(turns(2, [FakeWorkload("W1", does=fail), FakeWorkload("W2")], servers))

    results = _measure(planned, tmp_path)

    assert results.failure("W1", "fake") == said
    assert [each.workload for each in results.outcomes] == ["W1", "W2", "W2"]  # not W1 again
    _nothing_is_left(peer, tmp_path)


def test_what_is_not_there_is_no_failure(tmp_path: Path) -> None:
    def miss(server: Running) -> NoReturn:
        raise Unavailable("nobody has set it up")

    planned = list(turns(1, [FakeWorkload(does=miss)], [contestant("fake")]))

    results = _measure(planned, tmp_path)

    assert results.failure("W1", "fake") == ""
    assert results.absence("W1", "fake") == "nobody has set it up"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_server_and_removes_its_directory(
    number: signal.Signals, tmp_path: Path
) -> None:
    def interrupt(server: Running) -> Figures:
        signal.raise_signal(number)
        return Figures()

    peer = FakePeer()
    planned = list(turns(3, [FakeWorkload(does=interrupt)], [contestant("fake", peer)]))

    with pytest.raises(Stopped, match=number.name), stoppable():
        _measure(planned, tmp_path)

    assert len(peer.started) == 1
    _nothing_is_left(peer, tmp_path)


def test_a_stopped_run_says_so_with_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    def stop(options: object) -> int:
        signal.raise_signal(signal.SIGTERM)
        return 0

    assert run.main([], stop) == 143
    assert capsys.readouterr().err.strip() == (
        "scripts/bench: stopped by SIGTERM; all it had started is stopped, nothing was written"
    )


def test_what_is_missing_is_told_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def miss(options: object) -> NoReturn:
        raise Unavailable("there is no disk; make one")

    assert run.main([], miss) == 2
    assert capsys.readouterr().err == "scripts/bench: there is no disk; make one\n"


def test_a_disk_larger_than_what_is_free_is_refused_with_a_remedy() -> None:
    with pytest.raises(Unavailable, match=r"MB are needed for the disk .*; remove something"):
        ground.check(1 << 40)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "performance.md"
    path.write_text("before\n<!-- begin: bench -->\nold\n<!-- end: bench -->\nafter\n")
    return path


def test_a_recorded_run_is_written_into_the_page(page: Path) -> None:
    assert tell(Options((), (), record=True), ABOUT, "| new |", Results(), page) == 0

    assert page.read_text() == (
        "before\n<!-- begin: bench -->\n| new |\n<!-- end: bench -->\nafter\n"
    )


def test_a_page_without_marks_is_left_alone_and_told(page: Path) -> None:
    page.write_text("my own words\n")

    with pytest.raises(Unavailable, match="the report above could not be written down: "):
        tell(Options((), (), record=True), ABOUT, "| new |", Results(), page)

    assert page.read_text() == "my own words\n"


def test_another_run_is_only_printed(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = page.read_text()

    assert tell(Options((), ()), ABOUT, "| new |", Results(), page) == 0

    assert capsys.readouterr().out == "| new |\n"
    assert page.read_text() == before


def test_a_quick_run_that_is_not_whole_gives_no_figures(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = Options(("W1",), ("postfix",), quick=True, json=True, record=True)
    results = Results([Outcome("W1", "postfix", 1, failure="it hung")])
    before = page.read_text()

    assert tell(options, ABOUT, "| new |", results, page) == 2

    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "scripts/bench: postfix failed W1: it hung\n")
    assert page.read_text() == before


def test_json_is_one_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(Options((), (), json=True), ABOUT, "| new |", Results()) == 0

    assert json.loads(capsys.readouterr().out)["commit"] == "abc1234"


def _nothing_is_left(peer: FakePeer, disk: Path) -> None:
    for pid, _ in peer.started:
        assert not Path(f"/proc/{pid}").exists()
    assert list(disk.iterdir()) == []
