"""One soak: traffic and samples side by side, until the time is over; then everything owed must come."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.soak.greylist import Greylist
from tests.soak.kinds import KINDS
from tests.soak.letters import Letters
from tests.soak.sample import Recorder, Sample, take
from tests.soak.traffic import Traffic
from tests.soak.world import GREY, World
from tests.support.smtp_sink import SmtpSink

COLLECT = 2.0  # seconds between two looks into the mailboxes
PATIENCE = 120.0  # seconds beyond the lifetime of mail in which what is owed must have come
BATCH = 100  # messages read from a mailbox at once


class DiedError(Exception):
    """The server is not there any more; the text tells what it said."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long (seconds), how much (per second), how often a sample is taken (seconds)."""

    seconds: float
    rate: float = 10.0
    every: float = 5.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Result:
    """What was seen. `errors` are lines of the server's log; `status` is how it ended after SIGTERM."""

    samples: tuple[Sample, ...]
    letters: Letters
    sent: "Counter[str]"
    trouble: "Counter[str]"
    delayed: int
    seconds: float
    errors: tuple[str, ...]
    status: int


Watch = Callable[[Sample, Traffic], None]


async def soak(
    plan: Plan, world: World, over: asyncio.Event, recorder: Recorder, watch: Watch
) -> Result:
    """Run until the time is over, or `over` is set."""
    letters = Letters()
    traffic = Traffic(world, letters, random.Random(plan.seed))
    samples: list[Sample] = []
    began = time.monotonic()

    async def sampling() -> None:
        while True:
            samples.append(await _sample(world, began))
            recorder.add(samples[-1])
            watch(samples[-1], traffic)
            await asyncio.sleep(plan.every)

    async def timing() -> None:
        await asyncio.sleep(plan.seconds)
        over.set()

    grey = Greylist()

    def taken(content: bytes, recipients: list[str]) -> None:
        letters.found("grey", content.replace(b"\r\n..", b"\r\n."))

    destination = SmtpSink(taken, GREY, world.postfix.port, grey.puts_off)
    async with destination, asyncio.TaskGroup() as group:
        beside = [sampling(), timing(), _collect(world, letters)]
        tasks = [group.create_task(each) for each in beside]
        await traffic.run(KINDS, plan.rate, over)
        seconds = time.monotonic() - began
        await _settle(world, letters)
        for task in tasks:
            task.cancel()
    status = await asyncio.to_thread(world.server.stop, 60)
    within = tuple(sample for sample in samples if sample.at <= seconds)
    errors = tuple(filter(_is_error, world.server.log.splitlines()))
    return Result(
        within, letters, traffic.sent, traffic.trouble, grey.delayed, seconds, errors, status
    )


async def _sample(world: World, began: float) -> Sample:
    try:
        return await take(world.server, began)
    except (OSError, AssertionError) as error:
        log = world.server.log[-4000:]
        raise DiedError(f"the server does not answer ({error})\n{log}") from None


async def _collect(world: World, letters: Letters) -> None:
    while True:
        for mailbox, new in world.mailboxes.items():
            for content in await asyncio.to_thread(_empty, new):
                letters.found(mailbox, content)
        await asyncio.sleep(COLLECT)


def _empty(new: Path) -> list[bytes]:
    """Read what has come and take it out, as the owner of a mailbox does; at most as much as is good for us at once."""
    found = []
    for path in itertools.islice(new.glob("*"), BATCH):
        found.append(path.read_bytes())
        path.unlink()
    return found


async def _settle(world: World, letters: Letters) -> None:
    """Wait until nothing is owed, or until it cannot come any more; then see whether something comes twice."""
    end = time.monotonic() + world.lifetime + PATIENCE
    while letters.owed and time.monotonic() < end:
        await asyncio.sleep(COLLECT)
    await asyncio.sleep(2 * COLLECT)


def _is_error(line: str) -> bool:
    return " error " in line or line.startswith("Traceback")
