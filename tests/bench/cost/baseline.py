"""The baseline: what a message of each shape cost when somebody last said that it may; and the verdict on what it costs now.

`baseline.json` holds ratios by Python's minor version: each version's interpreter does the same work in another number of
instructions, and the loop moves with it only roughly.
"""

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from tests.bench.cost.valgrind import Counts
from tests.support.machine import commit, day

FILE = Path(__file__).with_name("baseline.json")
ALLOWED = 0.15  # growth or shrinkage that is not worth a word


class Verdict(StrEnum):
    """What a shape's change means."""

    OK = "ok"
    GROWN = "grown"
    SHRUNK = "shrunk"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Baseline:
    """One Python's baseline. `python` is its build in words, `shapes` ratios."""

    commit: str
    day: str
    python: str
    shapes: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Line:
    """A shape, counted and judged. `change` is relative to the baseline, 0.15 for 15 % more."""

    shape: str
    instructions: float
    ratio: float
    baseline: float | None
    change: float | None
    verdict: Verdict


def this_python() -> str:
    """The minor version that runs this, as in 3.11."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def load(path: Path = FILE, python: str = "") -> Baseline | None:
    """Read the baseline of a Python (this one); None when nobody has made one."""
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    found = known.get(python or this_python())
    return None if found is None else Baseline(**found)


def save(counts: Counts, path: Path = FILE) -> Baseline:
    """Make these counts the baseline of this Python; shapes that were not counted keep theirs."""
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    kept = known.get(this_python(), {}).get("shapes", {})
    counted = {name: round(counts.ratio(name), 4) for name in counts.shapes}
    build = f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}"
    made = Baseline(commit(), day(), build, {**kept, **counted})
    known[this_python()] = asdict(made)
    written = path.with_name(f".{path.name}.new")
    written.write_text(json.dumps(known, indent=2) + "\n", "utf-8")
    written.replace(path)
    return made


def judge(counts: Counts, baseline: Baseline | None) -> Sequence[Line]:
    """Compare what was counted with what it was."""
    return [_line(name, counts, baseline) for name in counts.shapes]


def _line(name: str, counts: Counts, baseline: Baseline | None) -> Line:
    ratio = counts.ratio(name)
    before = None if baseline is None else baseline.shapes.get(name)
    change = None if before is None else ratio / before - 1.0
    return Line(name, counts.shapes[name], ratio, before, change, _verdict(change))


def _verdict(change: float | None) -> Verdict:
    if change is None:
        return Verdict.NEW
    if change > ALLOWED:
        return Verdict.GROWN
    return Verdict.SHRUNK if change < -ALLOWED else Verdict.OK
