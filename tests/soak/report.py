"""The result as a table: what was sent and came, and for each thing that is watched whether it rose."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.crash.progress import clock
from tests.soak.run import Result
from tests.soak.sample import Sample
from tests.soak.trend import Trend, fit
from tests.soak.world import JOURNAL
from tests.support import marked
from tests.support.machine import commit, day, machine

WARM_UP = 0.1  # of the time: caches, pools and files find their size
JUDGED = 600.0  # seconds from which on a trend says something
_MB = float(1 << 20)
_RECORDED = re.compile(r"<!-- begin: soak -->\n\*\*([0-9.]+) hours\*\*")


@dataclass(frozen=True, slots=True)
class Watched:
    """A series, and by how much it may seem to rise: `share` of its level, and at least `slack`, in `unit`."""

    name: str
    unit: str
    value: Callable[[Sample], float]
    slack: float
    share: float = 0.05


WATCHED = (
    Watched("memory, RSS", "MB", lambda s: s.rss / _MB, slack=4),
    Watched("memory of its own", "MB", lambda s: s.anonymous / _MB, slack=4),
    Watched("open descriptors", "", lambda s: s.descriptors, slack=5),
    Watched("threads", "", lambda s: s.threads, slack=4),
    Watched("tasks of the event loop", "", lambda s: s.tasks, slack=10),
    Watched("recipients in the queue", "", lambda s: s.queue, slack=20),
    Watched("age of the oldest message", "s", lambda s: s.oldest, slack=10),
    Watched("disk, queue", "MB", lambda s: s.disk / _MB, slack=8),
    Watched("lag of the event loop", "s", lambda s: s.lag, slack=0.05),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One series: its least, median and most, its trend, and whether it rose."""

    watched: Watched
    least: float
    median: float
    most: float
    trend: Trend | None
    judged: bool

    @property
    def rises(self) -> bool:
        if not self.judged or self.trend is None:
            return False
        allowed = max(self.watched.slack, self.watched.share * self.trend.level)
        return self.trend.rise > allowed


def rows(samples: Sequence[Sample], seconds: float) -> list[Row]:
    """Judge each series after the warm-up; a run that is too short gets its trends and no verdict."""
    warm = [sample for sample in samples if sample.at >= WARM_UP * seconds] or list(samples)
    found = []
    for watched in WATCHED:
        values = sorted(watched.value(sample) for sample in warm)
        trend = fit([(sample.at / 3600, watched.value(sample)) for sample in warm])
        middle = values[len(values) // 2]
        found.append(Row(watched, values[0], middle, values[-1], trend, seconds >= JUDGED))
    return found


def faults(result: Result, watched: Sequence[Row]) -> list[str]:
    """Everything that is wrong, one sentence each."""
    lost = sorted(result.letters.owed)
    found = [f"lost: {debt.mark} for {debt.mailbox}" for debt in lost[:10]]
    found += [f"{len(lost) - 10} more are lost"] if len(lost) > 10 else []
    found += result.letters.examples
    found += [f"{count} × {what}" for what, count in result.trouble.most_common(10)]
    found += [f"in the log: {line}" for line in result.errors[:10]]
    found += [f"SIGTERM ended the server with status {result.status}"] if result.status else []
    for row in watched:
        if row.rises and row.trend is not None:
            found.append(
                f"{row.watched.name} rises by {row.trend.slope:.3g} {row.watched.unit} per hour "
                f"(99 %: {row.trend.low:.3g} to {row.trend.high:.3g}), level {row.trend.level:.3g}"
            )
    journal = max((sample.journal for sample in result.samples), default=0)
    if journal > 3 * JOURNAL:  # SQLite's log comes on top
        found.append(
            f"the journal has {journal / _MB:.1f} MB; {JOURNAL / _MB:.0f} MB and its log are allowed"
        )
    return found


def traffic_text(result: Result) -> str:
    """What was sent, and what became of it."""
    letters = result.letters
    kinds = ", ".join(f"{name} {count:,}" for name, count in result.sent.most_common())
    return (
        f"{sum(result.sent.values()):,} sent in {clock(result.seconds)} ({kinds}); "
        f"{letters.kept:,} deliveries and bounces owed and come, **{len(letters.owed)} lost**, "
        f"{letters.faults.total()} that nobody waited for or that were not whole, "
        f"{result.delayed:,} greylisted first, {result.trouble.total()} unexpected answers."
    )


def table(watched: Sequence[Row]) -> str:
    """The series as a table in Markdown, which is readable as text too."""
    head = (
        "| watched | least | median | most | slope per hour (99 %) | verdict |\n"
        "|---|---:|---:|---:|---:|---|\n"
    )
    return head + "\n".join(map(_line, watched)) + "\n"


def record(page: Path, hours: float, text: str, faults: Sequence[str]) -> bool:
    """Write the result to the page, unless a longer run stands there; whether it was written."""
    recorded = _RECORDED.search(page.read_text("utf-8"))
    if recorded and float(recorded[1]) > hours:
        return False
    found = "".join(f"- {fault}\n" for fault in faults)
    wrong = f"What was wrong:\n\n{found}" if found else "Nothing was wrong.\n"
    head = f"**{hours:.2f} hours**, {day()}, commit {commit()}: {machine()}."
    marked.replace(page, "soak", f"{head}\n\n{text}\n{wrong}")
    return True


def _line(row: Row) -> str:
    unit, trend = row.watched.unit, row.trend
    name = f"{row.watched.name}, {unit}" if unit else row.watched.name
    verdict = "too short to say" if not row.judged or trend is None else "steady"
    slope = f"{trend.slope:+.3g} ({trend.low:+.3g} to {trend.high:+.3g})" if trend else "–"
    figures = " | ".join(f"{value:.3g}" for value in (row.least, row.median, row.most))
    return f"| {name} | {figures} | {slope} | {'**rises**' if row.rises else verdict} |"
