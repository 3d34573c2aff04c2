"""`scripts/bench`: check what is needed, measure in rounds, report."""

import json
import os
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench import ground, quick, report
from tests.bench.options import Options, parse
from tests.bench.peer import Failed, Unavailable, Workload
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
_LARGE, _SMALL = 6144, 1024  # MB of disk, with a backlog and without


def main(arguments: Sequence[str]) -> int:
    """Give the exit status: 0 measured, 2 it could not be, 128 + N stopped by signal N."""
    options = parse(arguments)
    try:
        with stoppable():
            return _run(options)
    except Unavailable as problem:
        print(f"scripts/bench: {problem}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        print(
            f"\nscripts/bench: stopped by {stopped}; all it had started is stopped, nothing was written",
            file=sys.stderr,
        )
        return stopped.status


def _run(options: Options) -> int:
    workloads = [workload(name, options.messages) for name in options.workloads]
    megabytes = _LARGE if any(name.startswith("W6") for name in options.workloads) else _SMALL
    ground.check(megabytes)
    ground.fetch(options.servers)
    contestants = [_contestant(name) for name in options.servers]
    _raise_limit()
    load = os.getloadavg()[0]
    results = Results()
    print(f"making a disk of {megabytes:,} MB to measure on", file=sys.stderr)
    with ground.prepared(megabytes) as disk:
        about = About(
            f"scripts/bench{' --quick' if options.quick else ''}",
            commit(),
            day(),
            machine(),
            disk.note,
            load,
            options.rounds,
        )
        measure(options.rounds, workloads, contestants, disk.path, results)
    text = report.render(about, workloads, contestants, results)
    return _tell(options, about, text, results)


def _contestant(name: str) -> Contestant:
    peer = server(name)
    return Contestant(name, peer, peer.version())


def _raise_limit() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


def measure(
    rounds: int,
    workloads: Sequence[Workload],
    contestants: Sequence[Contestant],
    disk: Path,
    results: Results,
) -> None:
    """Add the outcome of every workload on every server, in each round. Who has failed once is not asked again."""
    left = list(_turns(rounds, workloads, contestants))
    progress = Progress(len(left))
    while left:
        round_, work, who = left.pop(0)
        progress.begin(work.name, who.key, round_)
        outcome = _measured(round_, work, who, disk)
        results.outcomes.append(outcome)
        if outcome.failure:
            again = [turn for turn in left if turn[1:] == (work, who)]
            left = [turn for turn in left if turn not in again]
            progress.total -= len(again)
        progress.end(outcome, [(turn[1].name, turn[2].key) for turn in left])


_Turn = tuple[int, Workload, Contestant]


def _turns(
    rounds: int, workloads: Sequence[Workload], contestants: Sequence[Contestant]
) -> Iterator[_Turn]:
    """Who is measured when: another server begins in each round."""
    for round_ in range(rounds):
        first = round_ % len(contestants)
        for work in workloads:
            for who in (*contestants[first:], *contestants[:first]):
                if not who.lacks(work.name):
                    yield round_ + 1, work, who


def _measured(round_: int, work: Workload, who: Contestant, disk: Path) -> Outcome:
    """One measurement. Whatever goes wrong with one server is written down, and the others are measured all the same."""
    try:
        with _new_directory(disk) as directory, who.peer.running(work.setup(directory)) as running:
            return Outcome(work.name, who.key, round_, work.measure(running))
    except (Failed, Unavailable) as failure:
        return Outcome(work.name, who.key, round_, failure=str(failure))
    except Exception as error:  # an adapter's mistake must not cost the hours before it
        return Outcome(work.name, who.key, round_, failure=f"{type(error).__name__}: {error}")


@contextmanager
def _new_directory(disk: Path) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(dir=disk))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        ground.empty(directory)


def _tell(options: Options, about: About, text: str, results: Results) -> int:
    if options.json:
        document = quick.document(about, options.workloads, options.servers, results)
        print(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        print(text)
    for sentence in quick.missing(options.workloads, options.servers, results):
        print(f"scripts/bench: {report.shortened(sentence)}", file=sys.stderr)
    if options.record:
        replace(PAGE, "bench", text)
        print(f"written: {PAGE.relative_to(ROOT)}", file=sys.stderr)
    return 0
