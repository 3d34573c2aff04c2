"""scripts/cost: counts, compares, says what to do."""

import argparse
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.cost import baseline, profile, report
from tests.bench.cost.shapes import SHAPES
from tests.bench.cost.valgrind import CountError, Counts, count, in_memory
from tests.support.machine import commit, day
from tests.support.marked import replace
from tests.support.programs import ROOT

PAGE = ROOT / "docs/explanation/cost.md"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/cost", description="what a message costs, in instructions"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument(
        "--shapes", metavar="A,B", default=",".join(SHAPES), help="only these: %(default)s"
    )
    parser.add_argument(
        "--update", action="store_true", help="make what is counted the baseline of this Python"
    )
    parser.add_argument("--profile", metavar="SHAPE", help="where the cost of one shape is")
    parser.add_argument(
        "--extra",
        metavar="PERCENT",
        type=float,
        default=0.0,
        help="add so much work to each message, to see that the gate notices",
    )
    parser.add_argument(
        "--record", action="store_true", help=f"write {PAGE.relative_to(ROOT)}, profiles included"
    )
    arguments = parser.parse_args()
    names = arguments.shapes.split(",") + ([arguments.profile] if arguments.profile else [])
    for name in names:
        if name not in SHAPES:
            parser.error(f"no shape {name}; there are: {' '.join(SHAPES)}")
    return arguments


def _count(shapes: Sequence[str], directory: Path, percent: float = 0.0) -> Counts:
    print(
        f"counting {len(shapes)} shape(s) under valgrind, a minute or so …",
        file=sys.stderr,
        flush=True,
    )
    began = time.monotonic()
    counts = count(shapes, directory, _extra(shapes, percent))
    print(f"counted in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return counts


def _extra(shapes: Sequence[str], percent: float) -> Mapping[str, float]:
    """Turns of the reference that are so many percent of a message."""
    known = baseline.load()
    if not percent or known is None:
        return {}
    return {name: known.shapes.get(name, 0.0) * percent / 100 for name in shapes}


def _compare(arguments: argparse.Namespace, directory: Path) -> int:
    counts = _count(arguments.shapes.split(","), directory, arguments.extra)
    known = baseline.save(counts) if arguments.update else baseline.load()
    lines = baseline.judge(counts, known)
    print(report.as_json(lines, counts) if arguments.json else report.table(lines))
    for remark in report.remarks(lines, known):
        print(f"scripts/cost: {remark}", file=sys.stderr)
    if arguments.record:
        _record(lines, counts, directory)
    return 1 if report.grown(lines) else 0


def _profile(name: str, directory: Path) -> None:
    shape = SHAPES[name]
    _count([name], directory)
    print(f"{name}: {shape.about}\n\nPython functions, by their own time")
    _print(profile.python_functions(shape))
    print("\nC functions, by their own instructions")
    _print(profile.c_functions(shape, directory))


def _print(shares: Sequence[profile.Share]) -> None:
    for part, function in shares:
        print(f"  {part:6.1%}  {function}")


def _record(lines: Sequence[baseline.Line], counts: Counts, directory: Path) -> None:
    build = f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}"
    parts = [f"Counted on {day()}, commit {commit()}, {build}.\n", report.markdown(lines, counts)]
    for each in lines:
        print(f"profiling {each.shape}", file=sys.stderr, flush=True)
        shape = SHAPES[each.shape]
        parts.append(
            f"\n### {each.shape}\n\n| Python function | own time | C function | own instructions |"
        )
        parts.append("|---|---:|---|---:|")
        both = zip(
            profile.python_functions(shape), profile.c_functions(shape, directory), strict=False
        )
        parts += [f"| `{p[1]}` | {p[0]:.1%} | `{c[1]}` | {c[0]:.1%} |" for p, c in both]
    replace(PAGE, "cost", "\n".join(parts))


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    if shutil.which("valgrind") is None:
        print("scripts/cost: valgrind is not installed: apt-get install valgrind", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="notqmail-cost-", dir=in_memory()) as name:
            if arguments.profile:
                _profile(arguments.profile, Path(name))
                return 0
            return _compare(arguments, Path(name))
    except CountError as error:
        print(f"scripts/cost: nothing was counted: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("scripts/cost: stopped", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
