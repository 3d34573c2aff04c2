"""kill -9 at random moments, again and again, and now and then SIGTERM."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.ledger import Account
from tests.crash.world import World, world

EARLY = 0.25  # of the kills come at some moment of the start, the others of the life after it
LIFE = 2.0  # seconds after the start in which it is killed: recovery, and the load that has waited, then full load
LEAST = 0.2  # seconds of load at least before a graceful stop


@dataclass(frozen=True, slots=True)
class Plan:
    """How often, and how it is drawn."""

    kills: int = 200
    seed: int = 1
    graceful: int = 10  # every so many kills a SIGTERM comes in place of a kill that is not counted
    audit: int = 25  # every so many kills the queue is drained and counted


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
    async with world(directory) as here:
        killer = _Killer(plan, here, random.Random(plan.seed))
        await killer.run(watch)
        if killer.clean:
            here.check_load()
        return killer.tally()


@dataclass(slots=True)
class _Killer:
    """A run under way."""

    plan: Plan
    here: World
    moments: random.Random
    began: float = field(default_factory=time.monotonic)
    start_up: float = 1.0  # seconds that the latest start took
    kills: int = 0
    starting: int = 0
    stops: int = 0

    @property
    def clean(self) -> bool:
        return self.here.ledger.settled.clean

    def tally(self) -> Tally:
        seconds, ledger = time.monotonic() - self.began, self.here.ledger
        counts = (self.kills, self.starting, self.stops, ledger.answered)
        return Tally(*counts, ledger.settled, seconds)

    async def run(self, watch: Watch) -> None:
        await self.here.load()
        while self.clean and self.kills < self.plan.kills:
            if self.stops < self.kills // self.plan.graceful:
                await self._stop()
            else:
                await self._kill()
                watch(self.tally())

    async def _start(self) -> None:
        began = time.monotonic()
        await self.here.start()
        self.start_up = time.monotonic() - began

    async def _kill(self) -> None:
        if self.moments.random() < EARLY:
            await self.here.launch()
            await asyncio.sleep(self.moments.uniform(0, self.start_up))
        else:
            await self._start()
            await asyncio.sleep(self.moments.uniform(0, LIFE))
        self.starting += not self.here.server.ready
        await self.here.kill()
        self.kills += 1
        if self.kills % self.plan.audit == 0 or self.kills == self.plan.kills:
            await self._audit()

    async def _stop(self) -> None:
        """SIGTERM under load: it must end in good order."""
        await self._start()
        await asyncio.sleep(self.moments.uniform(LEAST, LIFE))
        await self.here.stop()
        self.stops += 1

    async def _audit(self) -> None:
        """Let it deliver what is there, without load, and count."""
        await self.here.quiet()
        await self.here.start()
        await self.here.drain()
        await self.here.settle()
        await self.here.stop()
        await self.here.load()
