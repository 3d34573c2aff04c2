"""kill -9 at random moments, again and again, and now and then SIGTERM."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.crash.ledger import Account
from tests.crash.world import StuckError, world

WINDOW = 2.5  # seconds after its start in which the server is killed: half a second of start-up, recovery, full load
LEAST = 0.3  # seconds of load at least before a graceful stop


@dataclass(frozen=True, slots=True)
class Plan:
    """How often, and how it is drawn."""

    kills: int = 200
    seed: int = 1
    graceful: int = 10  # every so many kills a SIGTERM comes in place of a kill that is not counted
    audit: int = 25  # every so many kills the queue is drained and counted
    window: float = WINDOW


@dataclass(frozen=True, slots=True)
class Tally:
    """How far it is. `starting` are kills before the server was ready."""

    kills: int
    starting: int
    stops: int
    answered: int  # messages
    account: Account
    seconds: float


Watch = Callable[[Tally], None]


async def run(plan: Plan, directory: Path, watch: Watch) -> Tally:
    """Kill so many times. Ends early at the first audit that is not clean. Raises StuckError."""
    moments = random.Random(plan.seed)
    kills = starting = stops = 0
    began = time.monotonic()
    async with world(directory) as here:

        def tally() -> Tally:
            seconds = time.monotonic() - began
            account = here.ledger.settled
            return Tally(kills, starting, stops, here.ledger.answered, account, seconds)

        await here.load()
        while kills < plan.kills:
            if plan.graceful and kills and stops < kills // plan.graceful:
                await here.start()
                await asyncio.sleep(moments.uniform(LEAST, plan.window))
                if status := await here.stop():
                    raise StuckError(
                        f"SIGTERM ended it with status {status}\n{here.server.log[-4000:]}"
                    )
                stops += 1
                continue
            await here.launch()
            await asyncio.sleep(moments.uniform(0, plan.window))
            starting += not here.server.ready
            await here.kill()
            kills += 1
            if kills % plan.audit == 0 or kills == plan.kills:
                await here.quiet()
                await here.start()
                await here.drain()
                await here.settle()
                await here.stop()
                if not tally().account.clean:
                    break
                await here.load()
            watch(tally())
        here.check_load()
        return tally()
