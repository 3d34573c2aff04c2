"""The program behind scripts/fuzz, whose head is its help."""

import argparse
import asyncio
import signal
import sys
import traceback
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from tests.fuzz.campaign import Ran, fuzz, merge
from tests.fuzz.record import write_record
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

_OK, _BROKEN, _INTERRUPTED = 0, 1, 130


def main() -> int:
    """Do what the command line says and give the exit status."""
    options = _options()
    chosen = [TARGETS[name] for name in options.target or TARGETS]
    if options.replay is not None:
        return _replay(chosen, options.replay)
    work = _merge(chosen) if options.merge else _campaign(chosen, options)
    try:
        return asyncio.run(_until_signal(work))
    except asyncio.CancelledError:
        print("scripts/fuzz: interrupted; what was reached so far is kept in .fuzz/corpus")
        return _INTERRUPTED


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", add_help=False)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--target", nargs="+", choices=sorted(TARGETS), metavar="TARGET")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--replay", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.minutes <= 0 or options.jobs < 1:
        parser.error("--minutes and --jobs must be more than 0")
    if options.replay is not None and not options.replay.is_file():
        parser.error(f"{options.replay}: no such file")
    return options


async def _until_signal(work: Coroutine[Any, Any, int]) -> int:
    """Do the work; SIGINT and SIGTERM cancel it, and with it every process it has started."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    return await task


async def _campaign(chosen: Sequence[Target], options: argparse.Namespace) -> int:
    """Give every target its share of the time, so many at once, and tell what broke at the end."""
    seconds = max(1, int(options.minutes * 60 * options.jobs / len(chosen)))
    turns, ended = asyncio.Semaphore(options.jobs), list[Ran]()
    print(f"{len(chosen)} targets, {seconds} s each, {options.jobs} at once", flush=True)

    async def one(target: Target) -> None:
        async with turns:
            ran = await fuzz(target, seconds, _show)
        ended.append(ran)
        print(_line(ran, len(ended), len(chosen)), flush=True)

    async with asyncio.TaskGroup() as group:
        for target in chosen:
            group.create_task(one(target), name=target.name)
    if options.record:
        write_record(ended)
    broken = [ran for ran in ended if ran.broken]
    for ran in broken:
        _complain(ran)
    return _BROKEN if broken else _OK


def _show(line: str) -> None:
    """Draw over the line before, where somebody looks."""
    if sys.stdout.isatty():
        print(f"\r{line}\033[K", end="", flush=True)


def _line(ran: Ran, done: int, of: int) -> str:
    start = "\r\033[K" if sys.stdout.isatty() else ""
    word = "BROKEN" if ran.broken else "ok"
    return f"{start}[{done:>2}/{of}] {ran.target.name:14} {ran.progress} {word}"


def _complain(ran: Ran) -> None:
    print(f"\n{ran.target.name} is broken:\n{ran.output}")
    if ran.progress.saved:
        print(f"again: scripts/fuzz --target {ran.target.name} --replay {ran.progress.saved}")


async def _merge(chosen: Sequence[Target]) -> int:
    for target in chosen:
        print(f"{target.name:14} {await merge(target):>4} inputs more are kept", flush=True)
    return _OK


def _replay(chosen: Sequence[Target], file: Path) -> int:
    """Run one input once; its target is the one named, or that of its directory."""
    if len(chosen) > 1:
        chosen = [target for target in chosen if target.name == file.resolve().parent.name]
    if not chosen:
        print(f"scripts/fuzz: say --target for {file}; its directory names none", file=sys.stderr)
        return 2
    try:
        chosen[0].run(file.read_bytes())
    except Exception:
        traceback.print_exc()
        return _BROKEN
    print(f"{chosen[0].name}: {file} is fine")
    return _OK


if __name__ == "__main__":
    sys.exit(main())
