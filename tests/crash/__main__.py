"""`scripts/crash`: see there."""

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from tests.crash import kill, power, report
from tests.crash.disk import DamagedError, UnavailableError, mounted
from tests.crash.ledger import Account
from tests.crash.progress import Progress
from tests.crash.world import StuckError
from tests.support import marked
from tests.support.places import open_directory
from tests.support.programs import ROOT, postfix_program, program

PAGE = ROOT / "docs/explanation/reliability.md"
OK, FAULT, ENVIRONMENT, INTERRUPTED = 0, 1, 2, 130
_OWN = "NOTQMAIL_CRASH_MOUNTS"  # set in the mount namespace that we made for ourselves

Arguments = argparse.Namespace


def main(words: Sequence[str] | None = None) -> int:
    """Run one of the two and give the exit status."""
    arguments = _parser().parse_args(words)
    try:
        postfix_program("smtp-source")
        return asyncio.run(_until_told(arguments.run, arguments))
    except (pytest.skip.Exception, UnavailableError) as reason:
        print(f"scripts/crash: {reason}", file=sys.stderr)
        return ENVIRONMENT
    except (StuckError, DamagedError) as fault:
        print(f"\nscripts/crash: {fault}", file=sys.stderr)
        return FAULT
    except asyncio.CancelledError:
        print("\nscripts/crash: stopped before the end; nothing is recorded", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/crash", description="Real crashes under load")
    ways = parser.add_subparsers(required=True, metavar="kill|power")
    killing = ways.add_parser("kill", help="kill -9 at random moments")
    killing.add_argument("--kills", type=_count, default=200)
    killing.set_defaults(run=_kill)
    cutting = ways.add_parser("power", help="the disk cut off at random moments (root)")
    cutting.add_argument("--cuts", type=_count, default=20)
    cutting.add_argument(
        "--without-sync",
        action="store_true",
        help="let fsync do nothing: mail must be lost, or this test sees nothing",
    )
    cutting.set_defaults(run=_power)
    for way in (killing, cutting):
        way.add_argument("--seed", type=int, default=1, help="of the moments")
        way.add_argument("--record", action="store_true", help=f"write the result to {PAGE.name}")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 on")
    return int(text)


async def _until_told(run: Callable[[Arguments], Awaitable[int]], arguments: Arguments) -> int:
    """Run; Ctrl-C and SIGTERM end it, with everything stopped again."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await run(arguments)


async def _kill(arguments: Arguments) -> int:
    plan = kill.Plan(kills=arguments.kills, seed=arguments.seed)
    line = Progress()

    def watch(now: kill.Tally) -> None:
        line.show(
            report.progress("kills", now.kills, plan.kills, now.answered, now.account, now.seconds)
        )

    with open_directory(Path("/var/tmp")) as directory:
        tally = await kill.run(plan, directory, watch)
    line.close()
    command = f"scripts/crash kill --kills {plan.kills} --seed {plan.seed}"
    return _tell(tally.account, report.kill_rows(tally), command, "kill" * arguments.record)


async def _power(arguments: Arguments) -> int:
    if arguments.without_sync:
        program("eatmydata")
    plan = power.Plan(
        arguments.cuts, arguments.seed, power.WITHOUT_SYNC if arguments.without_sync else None
    )
    line = Progress()

    def watch(now: power.Tally) -> None:
        line.show(
            report.progress("cuts", now.cuts, plan.cuts, now.answered, now.account, now.seconds)
        )

    with mounted() as disk:
        try:
            tally = await power.run(plan, disk, watch)
        except StuckError as fault:
            if not arguments.without_sync:
                raise
            print(f"\nas it should be without fsync, the server does not get up again:\n{fault}")
            return OK
    line.close()
    if arguments.without_sync:
        lost = len(tally.account.lost)
        print(f"without fsync {lost} of {tally.account.promised} deliveries are lost")
        return OK if lost else FAULT
    command = f"scripts/crash power --cuts {plan.cuts} --seed {plan.seed}"
    return _tell(tally.account, report.power_rows(tally), command, "power" * arguments.record)


def _tell(account: Account, rows: Sequence[tuple[str, str]], command: str, block: str) -> int:
    """Print the result, write it to the page when there is a `block`, and give the exit status."""
    print(report.plain(rows))
    if block:
        marked.replace(PAGE, block, report.page(command, rows))
    if account.clean:
        return OK
    print(report.faults(account), file=sys.stderr)
    return FAULT


def own_mounts(words: Sequence[str]) -> None:
    """For `power` as root, go on in a mount namespace of our own: no other process can hold our mounts, and they end
    with us, however we end."""
    if words[:1] != ["power"] or os.geteuid() != 0 or os.environ.get(_OWN):
        return
    unshare = shutil.which("unshare")
    if (
        unshare is not None
        and subprocess.run([unshare, "--mount", "true"], check=False).returncode == 0
    ):
        command = [unshare, "--mount", sys.executable, "-m", "tests.crash", *words]
        os.execve(unshare, command, os.environ | {_OWN: "1"})


if __name__ == "__main__":
    own_mounts(sys.argv[1:])
    sys.exit(main())
