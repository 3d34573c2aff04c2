"""Runs of many targets, a few at a time, each a process of its own that is ended by its id."""

import asyncio
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tests.fuzz.progress import Progress
from tests.fuzz.target import Target
from tests.support.programs import ROOT

PYTHON = ROOT / ".fuzz" / "venv" / "bin" / "python"  # the one that has atheris
GROWN = ROOT / ".fuzz" / "corpus"
MAX_LENGTH = 4096  # octets of an input
HANG = 10  # seconds for one input: over it, it is taken for a hang and saved
MEMORY = 2048  # megabytes
_GRACE = 10.0  # seconds that a target has to end after it was asked to
_CLEAN = (0, 72)  # libFuzzer: the time is up; interrupted


@dataclass(frozen=True, slots=True)
class Ran:
    """How one target ended. `seconds` is how long it was to run."""

    target: Target
    progress: Progress
    seconds: int
    broken: bool
    output: str


def command(target: Target, *arguments: str) -> Sequence[str]:
    """Give the command line of a worker."""
    return [str(PYTHON), "-m", "tests.fuzz.worker", target.name, *arguments]


async def fuzz(target: Target, seconds: int, show: Callable[[str], None]) -> Ran:
    """Fuzz one target; an input that breaks it is saved among its regressions."""
    grown = GROWN / target.name
    for directory in (grown, target.regressions):
        directory.mkdir(parents=True, exist_ok=True)
    arguments = [
        f"-max_total_time={seconds}",
        f"-dict={target.dictionary}",
        f"-max_len={MAX_LENGTH}",
        f"-timeout={HANG}",
        f"-rss_limit_mb={MEMORY}",
        f"-artifact_prefix={target.regressions}/",
        "-print_final_stats=0",
        str(grown),
        str(target.corpus),
    ]
    try:
        status, progress, output = await _listen(target, arguments, show)
    finally:
        with suppress(OSError):  # there is something in it
            target.regressions.rmdir()
    return Ran(target, progress, seconds, status not in _CLEAN, output)


async def _listen(
    target: Target, arguments: Iterable[str], show: Callable[[str], None]
) -> tuple[int, Progress, str]:
    process = await asyncio.create_subprocess_exec(
        *command(target, *arguments),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=1 << 20,
        start_new_session=True,  # the terminal's SIGINT is for us; we pass it on
    )
    progress, tail = Progress(), list[str]()
    assert process.stdout is not None
    try:
        async for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            before, progress = progress, progress.heard(line)
            if progress != before:
                show(f"{target.name:14} {progress}")
            tail = [*tail[-60:], line]
        status = await process.wait()
    finally:
        await _end(process)
    return status, progress, "\n".join(line for line in tail if not line.startswith("#"))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask a worker that still runs to end, then make it."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        await asyncio.wait_for(process.wait(), _GRACE)
    except TimeoutError:
        process.kill()
        await process.wait()


async def merge(target: Target) -> int:
    """Take into the kept corpus what the grown one reaches beyond it; give how many files that were."""
    grown = GROWN / target.name
    if not grown.is_dir():
        return 0
    before = len(target.kept())
    arguments = ["-merge=1", f"-max_len={MAX_LENGTH}", str(target.corpus), str(grown)]
    status, _, output = await _listen(target, arguments, lambda _: None)
    if status != 0:
        raise RuntimeError(f"{target.name}: the merge failed\n{output}")
    return len(target.kept()) - before
