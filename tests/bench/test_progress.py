"""Progress: a line for each measurement."""

import io
from dataclasses import dataclass, field

from tests.bench.peer import Figures
from tests.bench.progress import Progress
from tests.bench.results import Outcome


@dataclass(slots=True)
class _Told:
    """Measurements that take as long as they are told to."""

    time: float = 100
    text: io.StringIO = field(default_factory=io.StringIO)

    def progress(self, total: int) -> Progress:
        return Progress(total, self.text, lambda: self.time)


def test_a_line_tells_what_was_measured_and_what_is_left() -> None:
    told = _Told()
    progress = told.progress(12)

    progress.begin("W1", "notqmail", 1)
    told.time += 65
    progress.end(
        Outcome("W1", "notqmail", 1, Figures(2345.6, 0.444, 45_000_000)),
        "messages/s",
        [("W1", "postfix")] * 11,
    )

    assert told.text.getvalue() == (
        "[ 1/12] round 1 W1      notqmail    2,346 messages/s   0.44 ms     45 MB  1:05 so far, about 11:55 left\n"
    )


def test_what_is_left_is_estimated_from_the_rounds_before() -> None:
    told = _Told()
    progress = told.progress(4)
    for server, seconds in (("notqmail", 10), ("exim", 100)):
        progress.begin("W1", server, 1)
        told.time += seconds
        progress.end(Outcome("W1", server, 1, Figures(1)), "", [("W1", "notqmail")] * 2)

    assert told.text.getvalue().endswith("1:50 so far, about 0:20 left\n")


def test_a_failure_is_told_and_shortens_the_way() -> None:
    told = _Told()
    progress = told.progress(3)
    progress.begin("W1", "exim", 1)
    progress.end(Outcome("W1", "exim", 1, failure="it hung"), "", [])
    assert progress.total == 1
    assert "failed: it hung" in told.text.getvalue()


def test_an_absence_is_told() -> None:
    told = _Told()
    progress = told.progress(1)
    progress.begin("W7", "exim", 1)
    progress.end(Outcome("W7", "exim", 1, absence="not set up"), "", [])

    assert "not measured: not set up" in told.text.getvalue()
