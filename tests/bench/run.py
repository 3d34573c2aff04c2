"""`scripts/bench`: check what is needed, measure in rounds, report."""

import json
import os
import resource
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tests.bench import ground, quick, report
from tests.bench.disk import empty
from tests.bench.options import Options, parse
from tests.bench.peer import Failed, Long, Unavailable, Workload
from tests.bench.progress import Progress
from tests.bench.report import About, Contestant
from tests.bench.results import Outcome, Results
from tests.bench.servers import server
from tests.bench.stopping import Stopped, stoppable
from tests.bench.workloads import workload
from tests.support.machine import commit, day, machine
from tests.support.marked import replace
from tests.support.programs import ROOT

PAGE = ROOT / "docs" / "explanation" / "performance.md"
_FILES = 65536  # descriptors: smtp-source with hundreds of connections, and servers with thousands
_MEGABYTES = {
    "W3": 2048,
    "W6": 6144,
}  # of disk that is needed: large messages, a backlog; for others _LEAST
_LEAST = 1024


def main(arguments: Sequence[str], run: Callable[[Options], int] | None = None) -> int:
    """Give the exit status: 0 measured, 2 it could not be, 128 + N stopped by signal N."""
    options = parse(arguments)
    try:
        with stoppable():
            return (run or run_all)(options)
    except Unavailable as problem:
        print(f"scripts/bench: {problem}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        print(
            f"\nscripts/bench: stopped by {stopped}; all it had started is stopped, nothing was written",
            file=sys.stderr,
        )
        return stopped.status


def run_all(options: Options) -> int:
    """Measure and report. Raises Unavailable."""
    workloads = [workload(name, options.messages) for name in options.workloads]
    megabytes = max(_MEGABYTES.get(name.partition("-")[0], _LEAST) for name in options.workloads)
    ground.check(megabytes)
    ground.fetch(options.servers, options.workloads)
    contestants = [_contestant(name) for name in options.servers]
    _raise_limit()
    load = os.getloadavg()[0]
    results = Results()
    print(f"making a disk of {megabytes:,} MB to measure on", file=sys.stderr)
    with ground.prepared(megabytes) as disk:
        about = About(
            options.command,
            commit(),
            day(),
            machine(),
            disk.note,
            load,
            options.rounds,
        )
        planned = turns(options.rounds, workloads, contestants)
        measure(planned, disk.path, results, sys.stderr)
    text = report.render(about, workloads, contestants, results)
    return tell(options, about, text, results)


def _contestant(name: str) -> Contestant:
    peer = server(name)
    return Contestant(name, peer, peer.version())


def _raise_limit() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


@dataclass(frozen=True, slots=True)
class Turn:
    """One measurement that is to be made."""

    round: int
    workload: Workload
    contestant: Contestant

    @property
    def pair(self) -> tuple[str, str]:
        return self.workload.name, self.contestant.key


def turns(
    rounds: int, workloads: Sequence[Workload], contestants: Sequence[Contestant]
) -> Iterator[Turn]:
    """Who is measured when: another server begins in each round."""
    for round_ in range(rounds):
        first = round_ % len(contestants)
        for work in workloads:
            if isinstance(work, Long) and round_ >= work.most_rounds:
                continue
            for who in (*contestants[first:], *contestants[:first]):
                if not who.lacks(work.name):
                    yield Turn(round_ + 1, work, who)


def measure(planned: Iterable[Turn], disk: Path, results: Results, to: TextIO) -> None:
    """Add the outcome of each turn to the results and tell of it. Who has failed once is not asked again."""
    left = list(planned)
    progress = Progress(len(left), to)
    while left:
        turn = left.pop(0)
        progress.begin(*turn.pair, turn.round)
        outcome = _measured(turn, disk)
        results.outcomes.append(outcome)
        if outcome.figures is None:
            left = [each for each in left if each.pair != turn.pair]
        progress.end(outcome, turn.workload.unit, [each.pair for each in left])


def _measured(turn: Turn, disk: Path) -> Outcome:
    """One measurement. Whatever goes wrong with one server is written down, and the others are measured all the same."""
    work = turn.workload
    try:
        with (
            _new_directory(disk) as directory,
            turn.contestant.peer.running(work.setup(directory)) as running,
        ):
            figures = work.measure(running)
    except Unavailable as absence:
        return Outcome(*turn.pair, turn.round, absence=str(absence))
    except Failed as failure:
        return Outcome(*turn.pair, turn.round, failure=str(failure))
    except Exception as error:  # a mistake in one adapter must not cost the hours before it
        return Outcome(*turn.pair, turn.round, failure=f"{type(error).__name__}: {error}")
    return Outcome(*turn.pair, turn.round, figures)


@contextmanager
def _new_directory(disk: Path) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(dir=disk))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        empty(directory)


def tell(options: Options, about: About, text: str, results: Results, page: Path = PAGE) -> int:
    """Print what was asked for, write the page when it is to be recorded, and give the exit status. Raises
    Unavailable when the page cannot be written."""
    missing = quick.missing(options.workloads, options.servers, results)
    for sentence in missing:
        print(f"scripts/bench: {report.shortened(sentence)}", file=sys.stderr)
    if options.quick and missing:
        return 2  # half of the figures would look like an answer
    if options.json:
        document = quick.document(about, options.workloads, options.servers, results)
        print(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        print(text)
    if options.record:
        try:
            replace(page, "bench", text)
        except (LookupError, OSError) as error:
            raise Unavailable(f"the report above could not be written down: {error}") from None
        print(f"written: {page}", file=sys.stderr)
    return 0
