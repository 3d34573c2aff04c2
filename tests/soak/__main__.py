"""`scripts/soak`: see there."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.crash.progress import Progress, clock
from tests.soak import report
from tests.soak.run import DiedError, Plan, Result, soak
from tests.soak.sample import Recorder, Sample
from tests.soak.traffic import Traffic
from tests.soak.world import neighbours
from tests.support.programs import ROOT

PAGE = ROOT / "docs/explanation/reliability.md"
KEPT = ROOT / ".soak"
LIFETIME = 60  # seconds that mail for the dead is tried, or a quarter of a shorter run
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main(words: Sequence[str] | None = None) -> int:
    """Soak and give the exit status."""
    arguments = _parser().parse_args(words)
    seconds = (arguments.minutes or 0) * 60 + (arguments.hours or 0) * 3600
    plan = Plan(seconds or 3600.0, arguments.rate, arguments.every, arguments.seed)
    for number in _SIGNALS:  # until there is a loop that hears them
        signal.signal(number, signal.default_int_handler)
    try:
        result, path = _soaked(plan, max(3, min(LIFETIME, int(plan.seconds / 4))))
    except pytest.skip.Exception as reason:
        print(f"scripts/soak: {reason}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\nscripts/soak: stopped before the end; nothing is recorded", file=sys.stderr)
        return 130
    except ExceptionGroup as group:
        died, _ = group.split(DiedError)
        if died is None:
            raise
        print(f"\nscripts/soak: {died.exceptions[0]}", file=sys.stderr)
        return 1
    return _tell(plan, result, path, record=arguments.record)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Hours of mixed traffic")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--hours", type=_positive, help="how long (1)")
    length.add_argument("--minutes", type=_positive)
    parser.add_argument("--rate", type=_positive, default=10.0, help="things sent per second")
    parser.add_argument("--every", type=_positive, default=5.0, help="seconds between samples")
    parser.add_argument("--seed", type=int, default=1, help="of the traffic")
    parser.add_argument(
        "--record",
        action="store_true",
        help=f"write the result to {PAGE.name} if no longer run stands there",
    )
    return parser


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is no number over 0")
    return value


def _soaked(plan: Plan, lifetime: int) -> tuple[Result, Path]:
    KEPT.mkdir(exist_ok=True)
    path = KEPT / f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}.csv"
    line = Progress(every=60.0)

    def watch(sample: Sample, traffic: Traffic) -> None:
        letters = traffic.letters
        line.show(
            f"{clock(sample.at)}/{clock(plan.seconds)}  sent {traffic.sent.total():,}  "
            f"come {letters.kept:,}  owed {len(letters.owed)}  "
            f"wrong {letters.faults.total() + traffic.trouble.total()}  "
            f"RSS {sample.rss >> 20} MB  fds {sample.descriptors}  tasks {sample.tasks}  "
            f"queue {sample.queue}  lag {sample.lag * 1000:.0f} ms"
        )

    with neighbours(lifetime) as world, Recorder(path) as recorder:

        async def whole() -> Result:
            over, task = asyncio.Event(), asyncio.current_task()
            assert task is not None

            def told() -> None:  # once: no more traffic, then the account; twice: at once
                if over.is_set():
                    task.cancel()
                over.set()

            for number in _SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, told)
            return await soak(plan, world, over, recorder, watch)

        result = asyncio.run(whole())
    line.close()
    return result, path


def _tell(plan: Plan, result: Result, path: Path, *, record: bool) -> int:
    watched = report.rows(result.samples, result.seconds)
    early = result.seconds < plan.seconds - 1
    if early:
        print(f"ended early, after {clock(result.seconds)} of {clock(plan.seconds)}")
    text = f"{report.traffic_text(result)}\n\n{report.table(watched)}"
    print(text.replace("**", ""))
    print(f"samples: {path.relative_to(ROOT)}")
    faults = report.faults(result, watched)
    for fault in faults:
        print(fault, file=sys.stderr)
    if record:
        longest = report.record(PAGE, result.seconds / 3600, text, faults)
        print("recorded" if longest else "not recorded: the page has a longer run")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
