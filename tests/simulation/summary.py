"""What many seeds came to: a little of each run, the sum of all, and the words for the page."""

import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.simulation.scenario import run
from tests.support.machine import commit, day, machine

CHECKED = """\
After every seed: each recipient that was accepted had the message once, or its sender (for a null sender the
postmaster) was told once; a second copy only where the server was killed or the reply was lost; nothing was delivered
that nobody had handed in, nothing altered, nothing to anybody else; nothing that asked for TLS went in clear; local
mail was there within two minutes whatever remote servers did; nothing that was due waited while there was room; no
task, no error and no entry was left over. The same seed gave the same trace."""
PATIENCE = 900  # seconds of real time that one seed may take; they take less than one
YEAR = 365 * 86400.0


@dataclass(frozen=True, slots=True)
class Brief:
    """What is kept of a run, small enough to pass between processes."""

    seed: int
    violations: tuple[str, ...]
    events: int
    virtual: float
    letters: int
    copies: int
    starts: int
    connections: int
    disk_operations: int
    injected: Counter[str]


def brief(seed: int) -> Brief:
    """Run a seed. What breaks the simulation itself, or takes for ever, is a violation too."""
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(PATIENCE)
    try:
        ran = run(seed)
    except Exception as error:
        return Brief(seed, (f"the run itself broke: {error!r}",), 0, 0.0, 0, 0, 0, 0, 0, Counter())
    finally:
        signal.alarm(0)
    return Brief(
        seed,
        ran.violations,
        len(ran.trace),
        ran.virtual,
        ran.letters,
        ran.copies,
        ran.starts,
        ran.connections,
        ran.disk_operations,
        ran.injected,
    )


def _too_long(*_: object) -> None:
    raise TimeoutError(f"still running after {PATIENCE} s")


@dataclass(slots=True)
class Total:
    """The sum of runs."""

    runs: int = 0
    failed: int = 0
    sums: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    virtual: float = 0.0

    def add(self, one: Brief) -> None:
        """Add a run."""
        self.runs += 1
        self.failed += bool(one.violations)
        self.virtual += one.virtual
        self.injected += one.injected
        for name in ("events", "letters", "copies", "starts", "connections", "disk_operations"):
            self.sums[name] += getattr(one, name)

    def sentence(self, seconds: float) -> str:
        """All of it in one line."""
        sums = self.sums
        return (
            f"{self.runs:,} seeds in {seconds:,.0f} s: {self.failed} failed; {self.virtual / YEAR:,.1f} virtual years, "
            f"{sums['letters']:,} messages, {sums['copies']:,} deliveries, {sums['connections']:,} connections, "
            f"{sums['starts'] - self.runs:,} further starts, {sum(self.injected.values()):,} misfortunes"
        )


def block(total: Total, seeds: Sequence[int], seconds: float) -> str:
    """The part of the page, in Markdown."""
    sums = total.sums
    rows = [
        ("seeds", f"{total.runs:,} ({seeds[0]} to {seeds[-1]})"),
        ("virtual time", f"{total.virtual / YEAR:,.1f} years, in {seconds / 60:,.0f} minutes"),
        ("messages handed in", f"{sums['letters']:,}"),
        ("copies and reports delivered", f"{sums['copies']:,}"),
        ("connections", f"{sums['connections']:,}"),
        ("disk operations", f"{sums['disk_operations']:,}"),
        ("starts of the server", f"{sums['starts']:,}"),
        ("misfortunes", ", ".join(f"{n:,} {what}" for what, n in sorted(total.injected.items()))),
        ("seeds in which a rule was broken", f"{total.failed:,}"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return (
        f"`scripts/simulate --seeds {total.runs} --from {seeds[0]} --record`, {day()}, commit {commit()}, {machine()}.\n\n"
        f"| | |\n|---|---|\n{table}\n\n{CHECKED}\n"
    )
