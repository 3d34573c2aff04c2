"""What libFuzzer says is read as figures, and the page gets them."""

from tests.fuzz.campaign import Ran
from tests.fuzz.progress import Progress
from tests.fuzz.record import table
from tests.fuzz.targets import TARGETS

NEW = "#2048\tNEW    cov: 120 ft: 345 corp: 12/3456b lim: 4096 exec/s: 1024 rss: 50Mb L: 3/60 MS: 1"


def test_a_line_of_status_is_read() -> None:
    assert Progress().heard(NEW) == Progress(2048, 1024, 345, 12)


def test_what_a_line_does_not_tell_stays() -> None:
    before = Progress(2048, 1024, 345, 12)

    assert before.heard("#4096\tpulse  exec/s: 900 rss: 50Mb") == Progress(4096, 900, 345, 12)
    assert before.heard("INFO: Seed: 1") == before


def test_the_file_of_what_broke_is_noted() -> None:
    line = "artifact_prefix='/x/'; Test unit written to /x/crash-1"

    assert Progress(7).heard(line) == Progress(7, saved="/x/crash-1")


def test_the_table_says_what_broke_and_what_was_not_found() -> None:
    fine = Ran(TARGETS["dots"], Progress(1000, 10, 5, 3), 60, False, "")
    broken = Ran(TARGETS["address"], Progress(500, 10, 5, 3), 60, True, "")

    assert "1 targets, 1 minutes of fuzzing, 1,000 executions: nothing was found." in table([fine])
    lines = table([fine, broken])
    assert lines[0].endswith("broken: address.")
    assert [line.split(" | ")[0] for line in lines[4:]] == ["| address", "| dots"]
