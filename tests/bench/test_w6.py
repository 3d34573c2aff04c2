"""W6: what is made of ten portions."""

from pathlib import Path

import pytest

from tests.bench.backlog import Portion
from tests.bench.peer import Figures
from tests.bench.small_server import SmallServer, SmallUsage
from tests.bench.workloads import w6
from tests.bench.workloads.w6 import AWAY, W6, WORKLOADS


def measured(portions: list[Portion], tmp_path: Path) -> Figures:
    usage = SmallUsage(memories=[9_000_000, 30_000_000], seconds=[1.0, 3.0])
    server = SmallServer(tmp_path, AWAY, usage=usage)
    return w6.figures(server, 1000, lambda: portions)


def test_first_and_last_tenth_stand_beside_the_whole(tmp_path: Path) -> None:
    portions = [Portion(100, 1), *[Portion(100, 2)] * 8, Portion(100, 4)]

    figures = measured(portions, tmp_path)

    assert figures.rate == pytest.approx(1000 / 21)
    assert figures.cpu == 2.0
    assert figures.memory == 30_000_000
    assert figures.more == {
        "first tenth, messages/s": 100,
        "last tenth, messages/s": 25,
        "MB before": 9,
        "s until it greets again": 0.25,
    }


def test_a_server_that_was_cut_off_says_where(tmp_path: Path) -> None:
    figures = measured([Portion(100, 1), Portion(40, 1, "452 full")], tmp_path)

    assert figures.more["stopped at"] == 140
    assert figures.rate == 70
    assert figures.more["last tenth, messages/s"] == 40


def test_the_server_is_told_how_much_will_wait_and_where_nobody_listens(tmp_path: Path) -> None:
    setups = [work.setup(tmp_path) for work in WORKLOADS]

    assert [setup.backlog for setup in setups] == [20_000, 200_000]
    assert all(setup.relay == AWAY for setup in setups)
    assert W6("W6", 7).setup(tmp_path).backlog == 7
