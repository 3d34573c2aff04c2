"""What was measured: one outcome for each workload, server and round; medians, and ratios within one round."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.bench.peer import Figures

Number = Callable[[Figures], float | None]


class Spread(NamedTuple):
    """Of the rounds."""

    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one measurement ended: with figures, with what the server failed at, or with what was not there for it."""

    workload: str
    server: str
    round: int
    figures: Figures | None = None
    failure: str = ""
    absence: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """All outcomes so far."""

    outcomes: list[Outcome] = field(default_factory=list)

    def rounds(self, workload: str, server: str) -> dict[int, Figures]:
        """The figures of a server, by round."""
        return {
            each.round: each.figures
            for each in self.outcomes
            if (each.workload, each.server) == (workload, server) and each.figures is not None
        }

    def failure(self, workload: str, server: str) -> str:
        """Why a server failed; "" when it did not."""
        return self._first(workload, server, lambda outcome: outcome.failure)

    def absence(self, workload: str, server: str) -> str:
        """What was not there to measure a server; "" when all was."""
        return self._first(workload, server, lambda outcome: outcome.absence)

    def spread(self, workload: str, server: str, number: Number) -> Spread | None:
        """Median and range of a figure; None when there is none."""
        return spread(map(number, self.rounds(workload, server).values()))

    def ratio(self, workload: str, server: str, reference: str, number: Number) -> float | None:
        """The median of the server's figure divided by the reference's in the same round; None without a round that
        both have."""
        ours, theirs = self.rounds(workload, server), self.rounds(workload, reference)
        ratios = []
        for round_ in ours.keys() & theirs.keys():
            above, below = number(ours[round_]), number(theirs[round_])
            if above is not None and below:
                ratios.append(above / below)
        return statistics.median(ratios) if ratios else None

    def _first(self, workload: str, server: str, text: Callable[[Outcome], str]) -> str:
        theirs = (o for o in self.outcomes if (o.workload, o.server) == (workload, server))
        return next(filter(None, map(text, theirs)), "")


def spread(numbers: Iterable[float | None]) -> Spread | None:
    """Median and range of what is there."""
    there = [number for number in numbers if number is not None]
    return Spread(statistics.median(there), min(there), max(there)) if there else None


def rate(figures: Figures) -> float | None:
    """Of the workload's unit per second."""
    return figures.rate


def cpu(figures: Figures) -> float | None:
    """Milliseconds per message."""
    return figures.cpu


def memory(figures: Figures) -> float | None:
    """Peak, in MB of 10^6 octets."""
    return None if figures.memory is None else figures.memory / 1e6
