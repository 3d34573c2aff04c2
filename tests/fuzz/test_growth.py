"""Work is linear in the length of the input: counted in bytecode instructions, so that no machine's mood matters.

For each target, what its dictionary says is said n times and 4n times; the second may cost little more than four
times the first. What the C of a regular expression does is not seen here; a hang of it is what `-timeout` finds.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

TIMES = 40
SLACK = 4_000  # instructions: what an input costs whatever its length, and a cache that was cold


def instructions(run: Callable[[bytes], None], data: bytes) -> int:
    """Count the instructions of our own modules."""
    count = 0

    def local(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "opcode"
        return local

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_globals.get("__name__", "").startswith("notqmail."):
            return None
        frame.f_trace_opcodes = True
        return local

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        run(data)
    finally:
        sys.settrace(before)
    return count


def words(target: Target) -> list[bytes]:
    """Give what the dictionary of a target says, as octets."""
    lines = target.dictionary.read_text().split("\n")
    return [_octets(line[1:-1]) for line in lines if line.startswith('"')]


def _octets(word: str) -> bytes:
    return word.encode().decode("unicode_escape").encode("latin-1")


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_four_times_the_input_costs_four_times_the_work(target: Target) -> None:
    for word in words(target):
        # warmed up while it is counted: Python 3.13 misses what runs in a frame that was not looked at before
        instructions(target.run, b"\1\1" + word * TIMES)
        once = instructions(target.run, b"\1\1" + word * TIMES)
        more = instructions(target.run, b"\1\1" + word * 4 * TIMES)
        assert more <= 4.4 * once + SLACK, (word, once, more)
