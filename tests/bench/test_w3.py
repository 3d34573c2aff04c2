"""W3: the reference loop, and what the rate of large messages is compared with."""

from pathlib import Path

from tests.bench.peer import Figures
from tests.bench.twice import write_twice
from tests.bench.workloads import w3
from tests.bench.workloads.w3 import W3


def test_the_loop_leaves_nothing_behind(tmp_path: Path) -> None:
    rate = write_twice(tmp_path, 200_000, 2)

    assert rate > 0
    assert not list(tmp_path.iterdir())


def test_the_disk_is_tried_before_there_is_a_server(tmp_path: Path) -> None:
    work = W3(messages=3, octets=100_000)

    setup = work.setup(tmp_path)

    assert work.reference > 0
    assert setup.directory == tmp_path


def test_messages_per_second_become_megabytes_and_a_share_of_the_loop() -> None:
    figures = w3.compared(Figures(rate=5, cpu=60, memory=1), octets=10_000_000, reference=200)

    assert figures == Figures(50, 60, 1, {"the loop, MB/s": 200, "share of the loop": 0.25})
