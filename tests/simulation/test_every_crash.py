"""One short life of a server, cut off before every single operation of its disk: nothing that it took is lost.

Three letters are handed in: one is delivered from the row of the queue, one from its file, one is deferred by its
provider and relayed later. Whatever the crash leaves, the next server goes on with it, until the queue is empty.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from notqmail.config import Config, Domain, Listen, Queue, Size
from tests.simulation.client import TEMPERS, Client
from tests.simulation.disk import Crash
from tests.simulation.invariants import Findings, violations
from tests.simulation.ledger import Copy, Ledger, Letter
from tests.simulation.loop import SimulatedLoop, simulate
from tests.simulation.peer import Peer
from tests.simulation.plan import ALIASES, HOME, HOSTNAME, MAILBOXES, SERVER, Plan
from tests.simulation.program import Program, SimulatedWorld
from tests.simulation.resolver import SimulatedResolver
from tests.simulation.server_disk import ServerDisk
from tests.simulation.watch import watching
from tests.support.clock import FakeClock
from tests.support.directory import MemoryDirectory
from tests.support.dns import Zones

CONFIG = Config(
    hostname=HOSTNAME,
    domain=(Domain(name=HOME),),
    postmaster=f"postmaster@{HOME}",
    listen=(Listen(name="mx", kind="mx", bind=(f"{SERVER}:25",)),),
    queue=Queue(inline=Size(4096)),
    path="simulation",
)
PLAN = Plan(0, 0.0, CONFIG, ("plain",), ("greylisting",), (), ())
PROVIDER = "192.0.2.1"
ZONES = {
    "d0.example": {"MX": "10 mx0.provider.example"},
    "mx0.provider.example": {"A": PROVIDER},
}
LETTERS = (("alice", 100), ("bob", 9000), ("away", 300))  # who, and how many octets
LOOK = 60.0  # seconds
SEED = 0
LONGEST = 86400.0  # seconds until all must be over


def letter(number: int, local: str, octets: int) -> Letter:
    head = f"From: <fred@d0.example>\r\nX-Simulation: {number}\r\n\r\n"
    body = f"{number:070}\r\n" * (octets // 72 + 1)
    return Letter(number, "fred@d0.example", (f"{local}@{HOME}",), (head + body).encode())


@dataclass
class ShortLife:
    """What happened in one."""

    violations: list[str] = field(default_factory=list)
    operations: int = 0  # until the queue was empty
    crashes: int = 0
    digest: str = ""


class Scene:
    """The server, its disk, one client and one provider."""

    def __init__(self, loop: SimulatedLoop, ledger: Ledger) -> None:
        chance, network = loop.network.chance, loop.network
        self._loop, self.ledger = loop, ledger
        self.clock = FakeClock()
        self.disk = ServerDisk(self.clock, chance.of("disk"), loop.trace)
        self.world = SimulatedWorld(
            self.clock,
            chance.of("server"),
            self.disk,
            SimulatedResolver(Zones(ZONES), chance.of("dns"), loop.trace),
            MemoryDirectory([HOME], MAILBOXES, ALIASES),
            network.host(SERVER),
        )
        self.program = Program(loop, CONFIG, self.world, network.host(SERVER))
        self.client = Client(
            network.host("198.51.100.1"), SERVER, TEMPERS["plain"], ledger, chance.of("client")
        )
        self.peer = Peer(network.host(PROVIDER), ledger, chance.of("peer"))
        self.peer.mood = "greylisting"

    async def start(self) -> None:
        """Start the server until it runs."""
        while not await self.program.start():
            self.ledger.interruptions.append(self._loop.time())
            await asyncio.sleep(1)

    async def start_again(self) -> None:
        """Start it again whenever it has died."""
        while True:
            await self.program.dead.wait()
            died = self._loop.time()
            self.ledger.interruptions.append(died)
            await self.program.crash("kill")
            await self.start()
            self.ledger.disturbances.append((died, self._loop.time()))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything is started, and in the end everything is stopped."""
        await self.peer.start()
        await self.start()
        again = asyncio.create_task(self.start_again())
        try:
            yield
        finally:
            again.cancel()
            await asyncio.wait([again])
            await self.program.stop()
            await self.client.life.end()
            await self.peer.stop()

    async def until_empty(self) -> bool:
        """Wait until everything has come to its end; False when it does not."""
        while self._loop.time() < LONGEST:
            await asyncio.sleep(LOOK)
            server = self.program.server
            if not self.client.busy and server and not sum((await server.store.counts()).values()):
                return True
        return False

    def violations(self, *, empty: bool) -> list[str]:
        """What is wrong."""
        for mailbox, messages in self.disk.mail().items():
            self.ledger.copies += [
                Copy(mailbox, "", (mailbox,), octets, self._loop.time(), confirmed=True)
                for octets in messages
            ]
        found = Findings(PLAN, self.ledger, self.world.seen.records, self.program.left_over, empty)
        return list(violations(found))


def live(at: int, kind: Crash = "kill") -> ShortLife:
    """Live it, with a crash before operation `at`; 0 for none."""

    async def main(loop: SimulatedLoop) -> ShortLife:
        ledger = Ledger(loop.trace)
        with watching(loop, loop.trace, ledger.complaints, verbose=False):
            scene = Scene(loop, ledger)
            if at:
                scene.disk.crash_after(at - 1, kind)
            async with scene.running():
                for number, (local, octets) in enumerate(LETTERS, 1):
                    scene.client.send(letter(number, local, octets))
                empty = await scene.until_empty()
                operations = scene.disk.operations
            found = scene.violations(empty=empty)
            scene.disk.close()
            return ShortLife(found, operations, len(ledger.interruptions), loop.trace.digest)

    return simulate(SEED, main)


@pytest.fixture(scope="module")
def operations() -> int:
    """How many operations an undisturbed life has."""
    life = live(0)
    assert (life.violations, life.crashes) == ([], 0)
    return life.operations


@pytest.mark.parametrize("kind", ["kill", "power"])
def test_no_operation_is_one_before_which_a_crash_loses_mail(kind: Crash, operations: int) -> None:
    assert operations > 80
    for at in range(1, operations + 1):
        life = live(at, kind)
        assert life.violations == [], at
        assert life.crashes == 1, at


def test_a_life_with_a_crash_is_the_same_each_time() -> None:
    assert live(40, "power") == live(40, "power")
