"""kill -9 at random moments, again and again, and now and then SIGTERM."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.ledger import Account
from tests.crash.world import World, world

WINDOW = 4.0  # start-ups long: a quarter of the kills comes before the server is ready, the others in recovery and load
SHORTEST, LONGEST = 2.0, 4.0  # seconds of the window
LEAST = 0.1  # of the window is load before a graceful stop


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
    plan: Plan
    here: World
    moments: random.Random
    began: float = field(default_factory=time.monotonic)
    window: float = SHORTEST
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
        await self._measure()
        await self.here.load()
        while self.clean and self.kills < self.plan.kills:
            if self.stops < self.kills // self.plan.graceful:
                await self._stop()
            else:
                await self._kill()
                watch(self.tally())

    async def _measure(self) -> None:
        """Start it, see how long that takes on this machine now, and stop it."""
        began = time.monotonic()
        await self.here.start()
        start_up = time.monotonic() - began
        self.window = min(max(SHORTEST, WINDOW * start_up), LONGEST)
        await self.here.stop()

    async def _kill(self) -> None:
        await self.here.launch()
        await asyncio.sleep(self.moments.uniform(0, self.window))
        self.starting += not self.here.server.ready
        await self.here.kill()
        self.kills += 1
        if self.kills % self.plan.audit == 0 or self.kills == self.plan.kills:
            await self._audit()

    async def _stop(self) -> None:
        """SIGTERM under load: it must end in good order."""
        await self.here.start()
        await asyncio.sleep(self.moments.uniform(LEAST, 1) * self.window)
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
