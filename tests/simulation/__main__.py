"""scripts/simulate: many seeds in several processes, or one seed with its trace."""

import argparse
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.scenario import run
from tests.simulation.summary import Brief, Total, block, brief
from tests.support.marked import replace
from tests.support.programs import ROOT

TRACES = ROOT / ".simulation"
PAGE = ROOT / "docs" / "explanation" / "reliability.md"
MOST_SHOWN = 20  # failing seeds whose traces are written


@dataclass(frozen=True, slots=True)
class Progress:
    """One line on a terminal, or a line now and then in a log."""

    total: int
    began: float

    def show(self, done: int, failed: int) -> None:
        passed = time.monotonic() - self.began
        rate = done / passed if passed else 0.0
        left = (self.total - done) / rate if rate else 0.0
        line = f"{done}/{self.total} seeds  {rate:.1f}/s  {_span(left)} left  {failed} failed"
        if sys.stderr.isatty():
            print(
                f"\r{line:<78}", end="\n" if done == self.total else "", file=sys.stderr, flush=True
            )
        elif done == self.total or done % max(1, self.total // 20) == 0:
            print(line, file=sys.stderr, flush=True)


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Give the exit status."""
    options = _options(arguments)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` is no error
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_stopped()))
    try:
        if options.seed is not None:
            return _one(options.seed, trace=options.trace)
        return _many(options)
    except KeyboardInterrupt:
        return _stopped()


def _stopped() -> int:
    print("\nscripts/simulate: stopped; nothing was recorded", file=sys.stderr)
    return 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seeds", type=_positive, default=1000, help="how many")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first one")
    parser.add_argument(
        "--jobs", type=_positive, default=multiprocessing.cpu_count(), help="processes at once"
    )
    parser.add_argument("--seed", type=int, help="run this one alone")
    parser.add_argument("--trace", action="store_true", help="print what happened in it")
    parser.add_argument("--record", action="store_true", help=f"write the figures to {PAGE.name}")
    options = parser.parse_args(arguments)
    if options.trace and options.seed is None:
        parser.error("--trace needs --seed")
    if options.record and options.seed is not None:
        parser.error("--record is for many seeds")
    return options


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _one(seed: int, *, trace: bool) -> int:
    outcome = run(seed, verbose=trace)
    if trace:
        for line in outcome.trace.lines():
            print(line)
    for violation in outcome.violations:
        print(f"seed {seed}: {violation}")
    print(f"seed {seed}: {'failed' if outcome.violations else 'ok'}, trace {outcome.trace.digest}")
    return 1 if outcome.violations else 0


def _many(options: argparse.Namespace) -> int:
    seeds = range(options.first, options.first + options.seeds)
    total, began = Total(), time.monotonic()
    progress = Progress(len(seeds), began)
    failed: list[Brief] = []
    with _processes(options.jobs) as pool:
        for done, outcome in enumerate(pool.imap_unordered(brief, seeds, chunksize=4), 1):
            total.add(outcome)
            if outcome.violations:
                failed.append(outcome)
            progress.show(done, len(failed))
    failed.sort(key=lambda outcome: outcome.seed)
    for number, outcome in enumerate(failed):
        _tell(outcome, written=number < MOST_SHOWN)
    print(total.sentence(time.monotonic() - began))
    if options.record:
        replace(PAGE, "simulation", block(total, seeds, time.monotonic() - began))
        print(f"written to {PAGE.relative_to(ROOT)}")
    return 1 if failed else 0


@contextmanager
def _processes(jobs: int) -> "Iterator[multiprocessing.pool.Pool]":
    """A pool whose processes leave interrupts to us and end with us."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(
        jobs,
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
        maxtasksperchild=100,
    ) as pool:
        yield pool


def _tell(outcome: Brief, *, written: bool) -> None:
    print(f"seed {outcome.seed} failed:")
    for violation in outcome.violations[:10]:
        print(f"    {violation}")
    if written:
        print(f"    trace: {_write_trace(outcome.seed).relative_to(ROOT)}")


def _write_trace(seed: int) -> Path:
    TRACES.mkdir(exist_ok=True)
    outcome = run(seed, verbose=True)
    path = TRACES / f"seed-{seed}.txt"
    new = path.with_suffix(".new")
    lines = [*outcome.trace.lines(), "", *outcome.violations]
    new.write_text("\n".join(lines) + "\n", "utf-8", "backslashreplace")
    new.replace(path)
    return path


if __name__ == "__main__":
    sys.exit(main())
