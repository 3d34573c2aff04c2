"""The report: a table for each workload, what it was measured on, and what was set. In Markdown, readable as it is."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

from tests.bench.peer import Peer, Workload
from tests.bench.results import Results, Spread, cpu, memory, rate, spread
from tests.bench.servers import REFERENCE

STAGES = ("recipient validation", "Received", "journal")  # ours, in W1 to W6
_STAGES = (
    f"Stages that were on in this server, W1 to W6: {', '.join(STAGES)}; nothing that asks DNS. Every server began on an "
    "empty directory in each measurement; the servers took turns, and who began changed with each round."
)
_KEY = (
    "Rate: median of the rounds (least–most). CPU: user and system time of all the server's processes, per message, median. "
    "Memory: largest sum of their proportional set sizes that was seen, MB of 10⁶ octets, median. × Postfix: rate divided "
    "by Postfix's in the same round, median."
)
_LONGEST = 100  # characters of a reason


@dataclass(frozen=True, slots=True)
class About:
    """What the figures belong to."""

    command: str
    commit: str
    day: str
    machine: str
    disk: str
    load: float  # the machine's load average before
    rounds: int


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server under its short name."""

    key: str
    peer: Peer
    version: str

    def lacks(self, workload: str) -> str:
        """Why it cannot run this workload, or any of its kind ("W6-200k" is a W6)."""
        return self.peer.lacks(workload) or self.peer.lacks(workload.partition("-")[0])


def render(
    about: About,
    workloads: Sequence[Workload],
    contestants: Sequence[Contestant],
    results: Results,
) -> str:
    """Write all of it."""
    parts = [
        f"Measured by `{about.command}` on {about.day}, commit `{about.commit}`; rounds: {about.rounds}.",
        f"Machine: {about.machine}; load average before: {about.load:.1f}.\nDisk: {about.disk}.",
        _STAGES,
        _KEY,
    ]
    for workload in workloads:
        parts.append(f"### {workload.name}\n\n{_sentence(workload.title)}")
        parts += _section(workload, contestants, results)
    parts.append("### What was set\n\n" + "\n".join(map(_note, contestants)))
    return "\n\n".join(parts) + "\n"


def _section(
    workload: Workload, contestants: Sequence[Contestant], results: Results
) -> Iterable[str]:
    """The table of a workload, and who is not in it."""
    lacking = {
        each.key: each.lacks(workload.name) or results.absence(workload.name, each.key)
        for each in contestants
    }
    rows = [_Row(each, workload, results) for each in contestants if not lacking[each.key]]
    columns = [*_COLUMNS.items(), *_more_columns(rows)]
    titles = [title.format(unit=workload.unit) for title, _ in columns]
    cells = [[cell(row) for _, cell in columns] for row in rows]
    yield table(titles, cells)
    absent = [f"{c.peer.name} ({lacking[c.key]})" for c in contestants if lacking[c.key]]
    if absent:
        yield f"Not measured: {_clean(', '.join(absent))}."
    failed = [(c.peer.name, results.failure(workload.name, c.key)) for c in contestants]
    if reasons := [f"{name} ({shortened(why)})" for name, why in failed if why]:
        yield f"Failed: {', '.join(reasons)}."


@dataclass(frozen=True, slots=True)
class _Row:
    """A server in the table of a workload."""

    contestant: Contestant
    workload: Workload
    results: Results

    @property
    def name(self) -> str:
        return _clean(self.contestant.peer.name)

    @property
    def version(self) -> str:
        return _clean(self.contestant.version)

    @property
    def rate(self) -> str:
        failure = self.results.failure(*self._pair)
        return "failed" if failure else _range(self._spread(rate))

    @property
    def cpu(self) -> str:
        return _median(self._spread(cpu))

    @property
    def memory(self) -> str:
        return _median(self._spread(memory))

    @property
    def ratio(self) -> str:
        return number(self.results.ratio(*self._pair, REFERENCE, rate))

    def titles(self) -> list[str]:
        """Of the figures only this workload has."""
        rounds = self.results.rounds(*self._pair).values()
        return list(dict.fromkeys(title for figures in rounds for title in figures.more))

    def more(self, title: str) -> str:
        """The median of such a figure."""
        rounds = self.results.rounds(*self._pair).values()
        return _median(spread(figures.more.get(title) for figures in rounds))

    @property
    def _pair(self) -> tuple[str, str]:
        return self.workload.name, self.contestant.key

    def _spread(self, of: Callable[..., float | None]) -> Spread | None:
        return self.results.spread(*self._pair, of)


_Cell = Callable[[_Row], str]
_COLUMNS: dict[str, _Cell] = {
    "server": lambda row: row.name,
    "version": lambda row: row.version,
    "{unit}": lambda row: row.rate,
    "× Postfix": lambda row: row.ratio,
    "CPU ms/message": lambda row: row.cpu,
    "peak MB": lambda row: row.memory,
}


def _more_columns(rows: Iterable[_Row]) -> Iterable[tuple[str, _Cell]]:
    for title in dict.fromkeys(title for row in rows for title in row.titles()):
        yield title, partial(_more, title)


def _more(title: str, row: _Row) -> str:
    return row.more(title)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns stand below each other; the first two are text, the others numbers. A column
    without a single figure is left out."""
    used = [index for index in range(len(titles)) if index < 2 or any(row[index] for row in rows)]
    lines = [[_clean(titles[i]) for i in used], *([row[i] for i in used] for row in rows)]
    widths = [max(map(len, column)) for column in zip_longest(*lines, fillvalue="")]
    rule = ["-" * w if i < 2 else "-" * (w - 1) + ":" for i, w in zip(used, widths, strict=True)]
    aligned = [
        [c.ljust(w) if i < 2 else c.rjust(w) for i, c, w in zip(used, line, widths, strict=True)]
        for line in lines
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (aligned[0], rule, *aligned[1:]))


def number(value: float | None) -> str:
    """With three digits that count, or all of a whole number; "" for none."""
    if value is None:
        return ""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{value:,.{digits}f}" if size >= 0.095 or value == 0 else f"{value:.2g}"


def shortened(text: str) -> str:
    """As a cell: one line, not too long."""
    line = " ".join(text.split())
    return _clean(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…")


def _range(found: Spread | None) -> str:
    if found is None:
        return ""
    return f"{number(found.median)} ({number(found.least)}–{number(found.most)})"


def _median(found: Spread | None) -> str:
    return number(found.median if found else None)


def _note(contestant: Contestant) -> str:
    name = f"{contestant.peer.name} {contestant.version}"
    return f"- **{_clean(name)}**: {_sentence(_clean(contestant.peer.notes))}"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _clean(text: str) -> str:
    """Nothing in it that Markdown, or the marks around the report, would take for its own."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
