"""A room of the source under mutmut, in a copy of its own."""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tests.support.programs import ROOT

PLACE = ROOT / ".mutants"
PYTHON = PLACE / "venv" / "bin" / "python"
ROOMS = ("smtp", "policy", "queue")
_COPIED = ("src", "tests", "docs")
_LEFT_OUT = shutil.ignore_patterns(
    "__pycache__",
    "*.egg-info",
    "fuzz",
    "mutants",
    "e2e",
    "interop",
    "simulation",
    "bench",
    "test_accounting.py",  # lives drawn at random: seconds for each mutant, and what they notice is chance
)
_STATUS = re.compile(r"(\d+)/(\d+)\s")
_GRACE = 10.0  # seconds that mutmut has to end after it was asked to


class MutmutError(Exception):
    """mutmut did not do its work; the text is the end of what it said."""


@dataclass(frozen=True, slots=True)
class Work:
    """A room and the modules of it that are changed, all when `modules` is empty."""

    room: str
    modules: tuple[str, ...] = ()

    @property
    def tree(self) -> Path:
        """Where its copy is; a choice of modules has one of its own, so that the whole room's results stay."""
        return PLACE / (f"{self.room}-part" if self.modules else self.room)

    def prepare(self) -> None:
        """Copy what it needs, unless what is there was copied from the same files."""
        stamp = _stamp(self)
        marker = self.tree / ".stamp"
        if marker.is_file() and marker.read_text() == stamp:
            return
        shutil.rmtree(self.tree, ignore_errors=True)
        for name in _COPIED:
            shutil.copytree(ROOT / name, self.tree / name, ignore=_LEFT_OUT)
        settings = (ROOT / "pyproject.toml").read_text() + _settings(self)
        (self.tree / "pyproject.toml").write_text(settings)
        marker.write_text(stamp)


def _settings(work: Work) -> str:
    changed = work.modules or (f"src/notqmail/{work.room}/*",)
    return f"""
[tool.mutmut]
source_paths = ["src"]
only_mutate = [{", ".join(f'"{each}"' for each in changed)}]
also_copy = ["docs"]
pytest_add_cli_args = ["-p", "no:randomly", "--hypothesis-profile=mutants"]
pytest_add_cli_args_test_selection = ["tests/{work.room}"]
timeout_multiplier = 5.0
timeout_constant = 2.0
"""


def _stamp(work: Work) -> str:
    """What its results depend on: the source, and the tests it runs."""
    digest = sha256(repr(work).encode())
    for place in ("src/notqmail", f"tests/{work.room}", "tests/support"):
        for file in sorted((ROOT / place).rglob("*.py")):
            digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return digest.hexdigest()


async def run(work: Work, jobs: int, show: Callable[[int, int], None]) -> None:
    """Test every mutant that was not tested yet; `show` is told how many of how many. Raises MutmutError."""
    process = await asyncio.create_subprocess_exec(
        str(PYTHON),
        "-m",
        "mutmut",
        "run",
        "--max-children",
        str(jobs),
        cwd=work.tree,
        env={**os.environ, "PYTHONPATH": ""},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said = await _listen(process, show)
        if await process.wait() != 0:
            raise MutmutError(said.strip())
    finally:
        await _end(process)


async def _listen(process: asyncio.subprocess.Process, show: Callable[[int, int], None]) -> str:
    """Follow what it says to the end, and give the last of it."""
    said = ""
    assert process.stdout is not None
    while octets := await process.stdout.read(4096):
        said = (said + octets.decode("utf-8", "replace"))[-3000:]
        if counts := _STATUS.findall(said):
            show(int(counts[-1][0]), int(counts[-1][1]))
    return said


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it with the children it has forked: they are a process group of their own."""
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def works(rooms: Sequence[str], modules: Sequence[str]) -> Sequence[Work]:
    """Give what is to be done for rooms, or for paths of modules in them. Raises ValueError."""
    if not modules:
        return [Work(room) for room in rooms]
    chosen: dict[str, list[str]] = {}
    for module in modules:
        path = Path(module).resolve()
        if path.parent.name not in ROOMS or not path.is_file():
            raise ValueError(f"{module}: no module of {', '.join(ROOMS)}")
        chosen.setdefault(path.parent.name, []).append(str(path.relative_to(ROOT)))
    return [Work(room, tuple(paths)) for room, paths in chosen.items()]
