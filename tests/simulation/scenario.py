"""One run: the plan of a seed carried out, a quiet end in which every message comes to its end, and the verdict."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.chance import Chance
from tests.simulation.chaos import CHAOS, Chaos
from tests.simulation.client import TEMPERS, Client
from tests.simulation.invariants import Findings, violations
from tests.simulation.ledger import Copy, Ledger
from tests.simulation.loop import SimulatedLoop, simulate
from tests.simulation.memory_disk import MemoryDisk
from tests.simulation.peer import MOODS, Peer
from tests.simulation.plan import (
    ALIASES,
    DOMAINS,
    GROUPS,
    HOME,
    MAILBOXES,
    PROVIDERS,
    SERVER,
    Misfortune,
    Plan,
    Sending,
    make_plan,
)
from tests.simulation.program import Disk, Program, SimulatedWorld
from tests.simulation.program_door import hand_in
from tests.simulation.resolver import SimulatedResolver
from tests.simulation.server_disk import ServerDisk
from tests.simulation.starvation import Watchman
from tests.simulation.trace import Trace
from tests.simulation.watch import watching
from tests.support.clock import FakeClock
from tests.support.directory import MemoryDirectory
from tests.support.dns import Zones

LOOK = 3600.0  # seconds between looks at whether the queue is empty
MARGIN = 3 * 86400.0  # seconds given to the end phase beyond all lifetimes

MakeDisk = Callable[[FakeClock, Chance, Trace], Disk]
MakeProgram = Callable[..., Program]


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a seed. `violations` are sentences; empty is good."""

    seed: int
    violations: tuple[str, ...]
    trace: Trace
    virtual: float
    letters: int
    copies: int
    starts: int
    connections: int
    disk_operations: int
    injected: Counter[str]


def server_disk(clock: FakeClock, chance: Chance, trace: Trace) -> Disk:
    """The disk that a server has: files and a database."""
    return ServerDisk(clock, chance.of("disk"))


def memory_disk(clock: FakeClock, chance: Chance, trace: Trace) -> Disk:
    """The simplest disk."""
    return MemoryDisk(clock, chance.of("disk"))


def run(
    seed: int,
    make_disk: MakeDisk = server_disk,
    make_program: MakeProgram = Program,
    *,
    verbose: bool = False,
) -> Run:
    """Run a seed. What is given instead of the usual parts is what is tested."""
    plan = make_plan(seed, tuple(TEMPERS), tuple(MOODS), tuple(CHAOS))

    async def main(loop: SimulatedLoop) -> Run:
        ledger = Ledger(loop.trace)
        with watching(loop, loop.trace, ledger.complaints, verbose=verbose):
            return await _Scenario(loop, plan, ledger, make_disk, make_program).run()

    return simulate(seed, main)


def _zones() -> Zones:
    zones = Zones(
        {
            domain: {"MX": [f"{10 * n} mx{p}.provider.example" for n, p in enumerate(providers)]}
            for domain, providers in DOMAINS.items()
        }
    )
    zones.update({f"mx{n}.provider.example": {"A": f"192.0.2.{n + 1}"} for n in range(PROVIDERS)})
    zones.update(
        {
            "null.example": {"MX": "0 ."},
            "noaddress.example": {"MX": "10 nobody.noaddress.example", "TXT": "x"},
            "direct.example": {"A": "192.0.2.1"},
        }
    )
    return zones


_DELIVERED_TO = re.compile(rb"^Delivered-To: (\S+)$", re.MULTILINE)


def _delivered_to(octets: bytes) -> str:
    found = _DELIVERED_TO.search(octets)
    return found[1].decode() if found else ""


class _Scenario:
    def __init__(
        self,
        loop: SimulatedLoop,
        plan: Plan,
        ledger: Ledger,
        make_disk: MakeDisk,
        make_program: MakeProgram,
    ) -> None:
        self.loop, self.plan, self.ledger = loop, plan, ledger
        chance, network = loop.network.chance, loop.network
        self.clock = FakeClock()
        self.disk = make_disk(self.clock, chance, loop.trace)
        resolver = SimulatedResolver(_zones(), chance.of("dns"), loop.trace)
        directory = MemoryDirectory([HOME], MAILBOXES, ALIASES)
        host = network.host(SERVER)
        self.world = SimulatedWorld(
            self.clock, chance.of("server"), self.disk, resolver, directory, host
        )
        self.program = make_program(loop, plan.config, self.world, host)
        self.peers = [
            Peer(network.host(f"192.0.2.{n + 1}"), ledger, chance.of("peer", n))
            for n in range(PROVIDERS)
        ]
        self.clients = [
            Client(
                network.host(f"198.51.100.{n + 1}"),
                SERVER,
                TEMPERS[temper],
                ledger,
                chance.of("client", n),
            )
            for n, temper in enumerate(plan.tempers)
        ]
        self.watchman = Watchman(self.program, ledger, GROUPS)
        self.chaos = Chaos(
            loop,
            self.program,
            self.peers,
            self.clients,
            ledger,
            self.watchman,
            chance.of("chaos"),
        )
        self._handing_in: dict[asyncio.Task[None], None] = {}

    async def run(self) -> Run:
        """Everything from the first start to the verdict."""
        for peer, mood in zip(self.peers, self.plan.moods, strict=True):
            peer.mood = mood
            await peer.start()
        await self.program.start()
        watching = asyncio.create_task(self.watchman.run())
        await self._carry_out()
        empty = await self._quieten()
        watching.cancel()
        await self.program.stop()
        for client in self.clients:
            await client.life.end()
        for peer in self.peers:
            await peer.stop()
        try:
            return self._verdict(empty)
        finally:
            self.disk.close()

    async def _carry_out(self) -> None:
        events: list[Sending | Misfortune] = [*self.plan.sendings, *self.plan.misfortunes]
        for what in sorted(events, key=lambda event: event.at):
            await asyncio.sleep(max(0.0, what.at - self.loop.time()))
            if isinstance(what, Sending):
                self._send(what)
            else:
                self.chaos.begin(what)
        await asyncio.sleep(max(0.0, self.plan.seconds - self.loop.time()))

    def _send(self, sending: Sending) -> None:
        if sending.client >= 0:
            self.clients[sending.client].send(sending.letter)
            return
        task = asyncio.create_task(hand_in(sending.letter, self.program, self.ledger))
        self._handing_in[task] = None
        task.add_done_callback(self._handing_in.pop)

    async def _quieten(self) -> bool:
        """Let all be well until the queue is empty; False when it is not, long after everything's time was up."""
        self.loop.trace.note("scenario", "the quiet phase begins")
        await self.chaos.heal()
        for peer in self.peers:
            peer.mood = "good"
        queue = self.plan.config.queue
        while self._handing_in or any(client.busy for client in self.clients):
            await asyncio.sleep(LOOK)
        end = (
            max(self.chaos.latest, self.clock.now())
            + queue.lifetime
            + queue.bounce_lifetime
            + MARGIN
        )
        while self.clock.now() < end and self.program.server is not None:
            await asyncio.sleep(LOOK)
            if not await self._queued():
                return True
        return False

    async def _queued(self) -> int:
        if self.program.server is None:
            return -1
        return sum((await self.program.server.store.counts()).values())

    def _verdict(self, empty: bool) -> Run:
        for mailbox, messages in self.disk.mail().items():
            for octets in messages:
                self.ledger.copies.append(
                    Copy(
                        mailbox,
                        "",
                        (_delivered_to(octets),),
                        octets,
                        self.loop.time(),
                        confirmed=True,
                    )
                )
        found = Findings(
            self.plan, self.ledger, self.world.seen.records, self.program.left_over, empty
        )
        return Run(
            seed=self.plan.seed,
            violations=tuple(violations(found)),
            trace=self.loop.trace,
            virtual=self.loop.time(),
            letters=len(self.ledger.letters),
            copies=len(self.ledger.copies),
            starts=self.program.starts,
            connections=self.loop.network.connections,
            disk_operations=self.disk.operations,
            injected=self.chaos.injected,
        )
