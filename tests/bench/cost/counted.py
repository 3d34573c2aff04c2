"""The program that is counted: it works shapes, and marks where a count ends by a system call nobody else makes.

    python -m tests.bench.cost.counted DIRECTORY [--shapes receive,queue] [--extra 0]

valgrind watches for `getppid`: at each call it writes down what was counted since the last and begins anew. After the last
mark the program prints the labels of all, as JSON, in the order in which they were counted.
"""

import argparse
import asyncio
import gc
import json
import logging
import os
import sys
import tempfile
from pathlib import Path

import uvloop

from notqmail import log
from tests.bench.cost import reference
from tests.bench.cost.shape import Shape, Work
from tests.bench.cost.shapes import SHAPES

TIMES = 3  # the long run has so many times the messages of the short one
SETUP = ""  # the label of what does not count


class Marks:
    """The labels so far."""

    def __init__(self) -> None:
        self.labels: list[str] = []

    def mark(self, label: str) -> None:
        """What ran since the last mark is `label`."""
        self.labels.append(label)
        os.getppid()


class Lines(logging.Handler):
    """Takes records as log.Output does and lays them out at the end. Output's thread does it whenever the wall clock
    says, in larger or smaller pieces: nothing to count by."""

    def __init__(self) -> None:
        super().__init__()
        self._records: list[logging.LogRecord] = []

    def handle(self, record: logging.LogRecord) -> bool:
        self._records.append(record)
        return True

    def finish(self) -> str:
        """All lines."""
        lines = "".join(map(log.as_text, self._records))
        self._records.clear()
        return lines


async def count(marks: Marks, name: str, messages: int, work: Work) -> None:
    """Work once to warm up, then a short and a long run. What was logged is laid out at the end of each run."""
    logging.getLogger().handlers[:] = [lines := Lines()]
    logging.getLogger("notqmail").setLevel(logging.INFO)
    for label, number in (
        (SETUP, messages),
        (f"{name}/1", messages),
        (f"{name}/{TIMES}", TIMES * messages),
    ):
        gc.collect()
        gc.freeze()
        marks.mark(SETUP)
        await work(number)
        lines.finish()
        marks.mark(label)


async def count_shape(marks: Marks, shape: Shape, extra: float) -> None:
    """Count one shape. `extra` turns of the reference are done for each message besides: a change that costs."""
    with tempfile.TemporaryDirectory() as directory:
        async with shape.open(Path(directory)) as work:

            async def burdened(messages: int) -> None:
                await work(messages)
                await reference.run(round(extra * messages))

            await count(marks, shape.name, shape.messages, burdened)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--extra", type=json.loads, default={})
    arguments = parser.parse_args()
    sys.setswitchinterval(3600.0)  # threads take turns where they wait, not by the wall clock
    marks = Marks()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(count(marks, "reference", reference.TURNS, reference.run))
    for name in arguments.shapes.split(","):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(count_shape(marks, SHAPES[name], arguments.extra.get(name, 0.0)))
    print(json.dumps(marks.labels))


if __name__ == "__main__":
    main()
