"""Runs the counted program under valgrind's callgrind and reads what it counted."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.cost import reference
from tests.bench.cost.counted import SETUP, TIMES
from tests.bench.cost.shapes import SHAPES
from tests.support.programs import ROOT

_TOTAL = re.compile(r"^totals: ([0-9]+)", re.MULTILINE)
_MEMORY = Path("/dev/shm")  # where there is one: no disk, and always the same file system
LONGEST = 1200.0  # seconds


class CountError(Exception):
    """Why nothing was counted, in a sentence."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Instructions for each message of each shape, and for each turn of the reference loop."""

    reference: float
    shapes: Mapping[str, float]

    def ratio(self, shape: str) -> float:
        """Turns of the reference that cost as much as one message."""
        return self.shapes[shape] / self.reference


def count(
    shapes: Sequence[str], directory: Path, extra: Mapping[str, float] | None = None
) -> Counts:
    """Count shapes; callgrind's files stay in `directory`, one for each label in `labels.json`. `extra`: turns of the
    reference that are added to each message. Raises CountError."""
    labels = _run(shapes, directory, extra or {})
    totals = {label: _total(directory, label) for label in labels if label != SETUP}
    each = {name: SHAPES[name].messages for name in shapes} | {"reference": reference.TURNS}
    costs = {
        name: (totals[f"{name}/{TIMES}"] - totals[f"{name}/1"]) / ((TIMES - 1) * messages)
        for name, messages in each.items()
    }
    return Counts(costs.pop("reference"), costs)


def dump(directory: Path, label: str) -> Path:
    """The file with what was counted under a label."""
    labels: list[str] = json.loads((directory / "labels.json").read_text("utf-8"))
    return directory / f"callgrind.{labels.index(label) + 1}"


def _total(directory: Path, label: str) -> int:
    found = _TOTAL.search(dump(directory, label).read_text("utf-8", "replace"))
    if found is None:
        raise CountError(f"valgrind has written no total for {label}")
    return int(found[1])


def _run(shapes: Sequence[str], directory: Path, extra: Mapping[str, float]) -> Sequence[str]:
    command = [
        *("valgrind", "--quiet", "--tool=callgrind", "--dump-before=getppid"),
        f"--callgrind-out-file={directory / 'callgrind'}",
        *(sys.executable, "-m", "tests.bench.cost.counted"),
        *("--shapes", ",".join(shapes), "--extra", json.dumps(dict(extra))),
    ]
    output = _output(command, directory)
    try:
        labels: list[str] = json.loads(output.splitlines()[-1])
    except (ValueError, IndexError):
        raise CountError(f"the counted program said {output[-300:]!r}") from None
    (directory / "labels.json").write_text(json.dumps(labels), "utf-8")
    if not (directory / f"callgrind.{len(labels)}").exists():
        raise CountError("valgrind did not see the marks: no count for each of them")
    return labels


def _output(command: Sequence[str], directory: Path) -> str:
    """Run a program whose temporary files are in `directory`; give what it printed."""
    environ = os.environ | {
        "TMPDIR": str(directory),
        "PYTHONHASHSEED": "0",  # the same order of sets in every run
        "UV_USE_IO_URING": "0",  # which valgrind does not know
    }
    with _ended(
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    ) as process:
        try:
            output, errors = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            raise CountError(f"counting took longer than {LONGEST:.0f} s") from None
    if process.returncode:
        last = (errors.strip().splitlines() or ["it said nothing"])[-1]
        raise CountError(f"the counted program failed ({process.returncode}): {last}")
    return output


@contextmanager
def _ended(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """End the program with the block, however that ends."""
    try:
        with process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)
    finally:
        process.wait()


def in_memory() -> Path | None:
    """Where temporary directories should be made: a file system in memory, if there is one."""
    return _MEMORY if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) else None
