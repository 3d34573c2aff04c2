"""Progress on stderr: a line for each measurement, with how long it has taken so far and what is left."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from tests.bench.results import Outcome, cpu, memory, rate


@dataclass(slots=True)
class Progress:
    """`total` measurements, or fewer when servers fail. What is left is estimated from how long the same took in the
    rounds before."""

    total: int
    to: TextIO
    now: Callable[[], float] = time.monotonic
    _spent: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    _done: int = 0
    _began: float = 0
    _first: float | None = None

    def begin(self, workload: str, server: str, round_: int) -> None:
        """Say what is measured next."""
        self._began = self.now()
        if self._first is None:
            self._first = self._began
        self._done += 1
        digits = len(str(self.total))
        self._write(
            f"[{self._done:{digits}}/{self.total}] round {round_} {workload:<8}{server:<11}"
        )

    def end(self, outcome: Outcome, unit: str, left: list[tuple[str, str]]) -> None:
        """Say how it went; `unit` is the rate's, `left` are the workloads and servers still to come."""
        assert self._first is not None
        spent = self._spent.setdefault((outcome.workload, outcome.server), [])
        spent.append(self.now() - self._began)
        times = f"{_clock(self.now() - self._first)} so far"
        self.total = self._done + len(left)
        if left:
            times += f", about {_clock(self._estimate(left))} left"
        self._write(f"{_figures(outcome, unit)}  {times}\n")

    def _estimate(self, left: list[tuple[str, str]]) -> float:
        """What is known of a pair, else the mean of all."""
        known = {pair: sum(times) / len(times) for pair, times in self._spent.items()}
        mean = sum(known.values()) / len(known)
        return sum(known.get(pair, mean) for pair in left)

    def _write(self, text: str) -> None:
        self.to.write(text)
        self.to.flush()


def _figures(outcome: Outcome, unit: str) -> str:
    figures = outcome.figures
    if figures is None:
        return (
            f"failed: {outcome.failure}" if outcome.failure else f"not measured: {outcome.absence}"
        )
    cells = (
        (rate(figures), unit, 0, 17),
        (cpu(figures), "ms", 2, 10),
        (memory(figures), "MB", 0, 10),
    )
    return "".join(
        f"{'' if number is None else f'{number:,.{digits}f} {name}':>{width}}"
        for number, name, digits, width in cells
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
    )
