"""The program behind scripts/mutants, whose head is its help."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from tests.mutants import report
from tests.mutants.survivors import Mutant, explained, mutants
from tests.mutants.work import ROOMS, MutmutError, Work, run, works

_OK, _SURVIVED, _USAGE, _INTERRUPTED = 0, 1, 2, 130


def main() -> int:
    """Do what the command line says and give the exit status."""
    options = _options()
    try:
        todo = works(options.room, options.module)
        if not options.list:
            asyncio.run(_until_signal(todo, options.jobs))
    except ValueError as error:
        print(f"scripts/mutants: {error}", file=sys.stderr)
        return _USAGE
    except MutmutError as error:
        print(f"scripts/mutants: mutmut did not do its work:\n{error}", file=sys.stderr)
        return _USAGE
    except asyncio.CancelledError:
        print("\nscripts/mutants: interrupted; the same command goes on from here")
        return _INTERRUPTED
    return _tell(_results(todo), record=options.record)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/mutants", add_help=False)
    parser.add_argument("--room", nargs="+", choices=ROOMS, default=ROOMS, metavar="ROOM")
    parser.add_argument("--module", nargs="+", default=[], metavar="PATH")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error("--jobs must be more than 0")
    if options.record and (options.module or tuple(options.room) != ROOMS):
        parser.error("--record is for all rooms")
    return options


async def _until_signal(todo: Sequence[Work], jobs: int) -> None:
    """Do the work; SIGINT and SIGTERM cancel it, and with it every process it has started."""
    task = asyncio.create_task(_work(todo, jobs))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    await task


async def _work(todo: Sequence[Work], jobs: int) -> None:
    for work in todo:
        work.prepare()
        progress = _Progress(work.room)
        await run(work, jobs, progress.show)
        progress.end()


class _Progress:
    """How many mutants of a room were tested: drawn over itself on a terminal, else a line for each tenth."""

    def __init__(self, room: str) -> None:
        self._room = room
        self._told = -1

    def show(self, done: int, of: int) -> None:
        step = done if sys.stdout.isatty() else done * 10 // max(of, 1)
        if step == self._told:
            return
        self._told = step
        end = "" if sys.stdout.isatty() else "\n"
        start = "\r\033[K" if sys.stdout.isatty() else ""
        print(f"{start}{self._room}: {done} of {of} mutants tested", end=end, flush=True)

    def end(self) -> None:
        if sys.stdout.isatty():
            print()


def _results(todo: Sequence[Work]) -> Sequence[Mutant]:
    known = explained(report.EXPLANATIONS)
    return [mutant for work in todo for mutant in mutants(work.tree, known)]


def _tell(found: Sequence[Mutant], *, record: bool) -> int:
    for line in report.diffs(found):
        print(line)
    print()
    for line in report.table(found):
        print(line)
    if record:
        report.write_record(found)
    return _SURVIVED if report.unexplained(found) else _OK


if __name__ == "__main__":
    sys.exit(main())
