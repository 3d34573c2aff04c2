"""Where the cost of a shape is: the Python functions that take most of its time, and the C functions that run most of its
instructions.

The first is cProfile's, in CPU time of all threads, without valgrind: shares are worth reading, times are not. The second is
callgrind's and exact, but the interpreter is one function to it.
"""

import asyncio
import cProfile
import io
import logging
import pstats
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from notqmail import log
from tests.bench.cost.counted import TIMES
from tests.bench.cost.shape import Shape
from tests.bench.cost.valgrind import dump
from tests.support.programs import ROOT

MESSAGES = 20  # times as many as are counted
TOP = 10
_UNFINISHED = "SimpleQueue"  # a thread still waits in its `get`: cProfile ends that call by the reader's clock
_NAMED = re.compile(r"(?P<kind>c?fn)=\((?P<number>[0-9]+)\)(?: (?P<name>\S.*))?")
_COST = re.compile(r"(?:0x[0-9a-f]+|[+-]?[0-9]+|\*) ([0-9]+)$")


class Share(NamedTuple):
    """A function and its part of the whole, 0.1 for a tenth."""

    part: float
    function: str


def python_functions(shape: Shape) -> Sequence[Share]:
    """The Python functions (and built-ins) with most time of their own."""
    with (
        tempfile.TemporaryDirectory() as directory,
        _everywhere() as profiles,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_work(shape, Path(directory), profiles))
    stats = pstats.Stats(*profiles, stream=io.StringIO())
    own: dict[str, float] = {}
    for (file, line, name), (_, _, seconds, _, _) in stats.stats.items():  # type: ignore[attr-defined]  # typeshed leaves it out
        function = _named(file, line, name)
        if _UNFINISHED not in function:
            own[function] = own.get(function, 0.0) + seconds
    whole = sum(own.values())
    ordered = sorted(own, key=lambda function: -own[function])
    return [Share(own[function] / whole, function) for function in ordered[:TOP]]


async def _work(shape: Shape, directory: Path, profiles: list[cProfile.Profile]) -> None:
    async with shape.open(directory) as work:
        output = log.setup(stream=io.StringIO())
        await work(shape.messages)
        here = cProfile.Profile(time.thread_time)
        profiles.append(here)
        here.enable()
        await work(MESSAGES * shape.messages)
        here.disable()
        output.stop()
    logging.getLogger().handlers.clear()


@contextmanager
def _everywhere() -> Iterator[list[cProfile.Profile]]:
    """Profile every thread that starts within the block."""
    profiles: list[cProfile.Profile] = []

    def begin(*_: Any) -> None:  # called at a new thread's first call, which then is no longer ours
        sys.setprofile(None)
        profile = cProfile.Profile(time.thread_time)
        profiles.append(profile)
        profile.enable()

    threading.setprofile(begin)
    try:
        yield profiles
    finally:
        threading.setprofile(None)


def _named(file: str, line: int, name: str) -> str:
    """A function as a reader knows it."""
    if file == "~":
        return name.strip("<>")
    path = Path(file)
    for root in (ROOT / "src", ROOT):
        if path.is_relative_to(root) and ".venv" not in path.parts:
            return f"{path.relative_to(root)}:{name}"
    return f"{path.parent.name}/{path.name}:{name}"


def c_functions(shape: Shape, directory: Path) -> Sequence[Share]:
    """The C functions with most instructions of their own, of what `count` has left in `directory`."""
    with dump(directory, f"{shape.name}/{TIMES}").open(encoding="utf-8", errors="replace") as lines:
        own = own_costs(lines)
    whole = sum(own.values())
    ordered = sorted(own, key=lambda function: -own[function])
    return [Share(own[function] / whole, function) for function in ordered[:TOP]]


def own_costs(lines: Iterable[str]) -> Mapping[str, int]:
    """Instructions by function, without those of what it calls, in callgrind's format: `fn=(7) name` opens a function
    and names its number (later `fn=(7)`), `POSITION COST` is its own, and the line after `calls=` is the callee's."""
    names: dict[str, str] = {}
    own: dict[str, int] = {}
    at, called = "", False
    for line in lines:
        if match := _NAMED.match(line):
            if match["name"]:
                names[match["number"]] = match["name"]
            if match["kind"] == "fn":
                at = names[match["number"]].partition("'")[0]  # 'n is the depth of a recursion
        elif line.startswith("calls="):
            called = True
        elif cost := _COST.match(line):
            if not called:
                own[at] = own.get(at, 0) + int(cost[1])
            called = False
    return own
