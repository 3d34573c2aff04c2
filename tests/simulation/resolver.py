"""DNS in the simulation: zones that change, answers that take their time, and days on which nothing is answered."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from notqmail.ports import Answer, DnsStatus, MxRecord
from tests.simulation.chance import spread
from tests.simulation.trace import Trace
from tests.support.dns import ZoneResolver, Zones

R = TypeVar("R")

TIMEOUT = 20.0  # seconds, as [dns] timeout has it
FAULTS = ("servfail", "timeout")


class SimulatedResolver:
    """ports.Resolver. `fault` is what happens to every look-up now, `unlucky` how likely one fails on its own."""

    def __init__(self, zones: Zones, random: random.Random, trace: Trace) -> None:
        self.zones = zones
        self.fault = ""
        self.unlucky = 0.0
        self._random, self._trace = random, trace
        self._answers = ZoneResolver(zones)

    async def mx(self, name: str) -> Answer[MxRecord]:
        """See ports.Resolver."""
        return await self._late(f"MX {name}", lambda: self._answers.mx(name))

    async def addresses(self, name: str, family: int = 0) -> Answer[str]:
        """See ports.Resolver."""
        return await self._late(f"A {name}", lambda: self._answers.addresses(name, family))

    async def txt(self, name: str) -> Answer[bytes]:
        """See ports.Resolver."""
        return await self._late(f"TXT {name}", lambda: self._answers.txt(name))

    async def ptr(self, address: str) -> Answer[str]:
        """See ports.Resolver."""
        return await self._late(f"PTR {address}", lambda: self._answers.ptr(address))

    async def close(self) -> None:
        """Nothing is open."""

    async def _late(self, asked: str, ask: Callable[[], Awaitable[Answer[R]]]) -> Answer[R]:
        await asyncio.sleep(spread(self._random, 0.001, 0.5))
        answer = await ask()
        fault = self.fault
        if self._random.random() < self.unlucky:
            fault = self._random.choice(FAULTS)
        if fault == "timeout":
            await asyncio.sleep(TIMEOUT)
        if fault:
            answer = Answer(DnsStatus.TEMPFAIL, why=fault)
        self._trace.note("dns", "%s: %s %d", asked, answer.status, len(answer.records))
        return answer
