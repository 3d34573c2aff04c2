"""The server as a program of the simulation: started on a host and a disk, stopped, killed, started again.

What serves here is app.Server itself; the world around it is simulated.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol

from notqmail.app.rules import is_us
from notqmail.app.server import Server
from notqmail.app.world import Later, WatchedStore
from notqmail.config import Config, endpoint
from notqmail.delivery.remote import RemoteTransport
from notqmail.mail.errors import NotqmailError
from notqmail.policy.login_guard import LoginGuard
from notqmail.ports import Clock, Directory, Random, Transport
from tests.simulation.disk import Crash
from tests.simulation.loop import Life, SimulatedLoop
from tests.simulation.network import Host
from tests.simulation.resolver import SimulatedResolver
from tests.support.clock import FakeClock
from tests.support.queue_world import MemoryJournal
from tests.support.sending import MemorySending

PATIENCE = 3600.0  # seconds that a stop may take


class Disk(Protocol):
    """What the server keeps, and what survives it."""

    async def store(self, config: Config) -> WatchedStore:
        """Open the queue, as a start does."""

    def local(self, config: Config) -> Transport:
        """The way into the mailboxes."""

    on_crash: Callable[[], None]
    """Called at once when a crash comes, maybe in the middle of an operation of the program."""

    def crash(self, kind: Crash) -> None:
        """Let the program die now: nothing it does from now on has any effect."""

    def crash_after(self, operations: int, kind: Crash) -> None:
        """Let it die when it has done so many more operations."""

    def suffer(self, trouble: str) -> None:
        """Begin one of `troubles`."""

    def recover(self) -> None:
        """End it."""

    @property
    def operations(self) -> int:
        """How much it has done."""

    @property
    def troubles(self) -> Sequence[str]:
        """What can be wrong with this disk."""

    def close(self) -> None:
        """The run is over."""

    def mail(self) -> Mapping[str, Sequence[bytes]]:
        """What lies in each mailbox: address to the octets of its messages."""


class SeenJournal(MemoryJournal):
    """world.WatchedJournal that survives everything; each record has the virtual time it was written at."""

    dropped = 0

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def write(self, record: Mapping[str, Any]) -> None:
        super().write({**record, "virtual": self._clock.monotonic()})


class SimulatedWorld:
    """app.world.World."""

    def __init__(
        self,
        clock: FakeClock,
        random: Random,
        disk: Disk,
        resolver: SimulatedResolver,
        directory: Directory,
        host: Host,
    ) -> None:
        self.clock, self.random, self.disk = clock, random, disk
        self.resolver, self._directory, self._host = resolver, directory, host
        self.seen = SeenJournal(clock)

    def is_ours(self, address: IPv4Address | IPv6Address, /) -> bool:
        return str(address) == self._host.address

    def directory(self, config: Config) -> Directory:
        return self._directory

    def tls(self, config: Config) -> None:
        """Nobody speaks TLS here."""

    async def gatekeeper(
        self, config: Config, guard: LoginGuard, directory: Callable[[], Directory], later: Later
    ) -> None:
        """Nobody logs in here."""

    def journal(self, config: Config) -> SeenJournal:
        return self.seen

    def sending(self, config: Config) -> MemorySending:
        return MemorySending(self.clock)

    async def store(self, config: Config) -> WatchedStore:
        return await self.disk.store(config)

    async def transports(self, config: Config, later: Later) -> Mapping[str, Transport]:
        local = self.disk.local(config)
        later(local.close)
        remote = RemoteTransport(
            config.outbound,
            config.hostname,
            self.resolver,
            self.clock,
            self.random,
            is_us(config, self.is_ours),
        )
        later(remote.close)
        self._remote = remote
        return {"local": local, "smtp": remote}

    async def adopt(self, config: Config) -> None:
        await self._remote.reload(config.outbound)

    def open_files(self) -> int:
        return 65536

    async def doors(self, server: Server, later: Later) -> None:
        """Programs of this machine call the server themselves, `Program.server`."""


class Program:
    """One server on one host, through all its lives."""

    def __init__(
        self, loop: SimulatedLoop, config: Config, world: SimulatedWorld, host: Host
    ) -> None:
        self._loop, self.config, self.world, self.host = loop, config, world, host
        self.server: Server | None = None
        self.life: Life | None = None
        self.starts = 0
        self.left_over: list[str] = []
        self.troubles = 0  # how many things keep it from its work now
        self.dead = asyncio.Event()
        world.disk.on_crash = self._killed

    async def start(self) -> bool:
        """Start it, on what is on the disk; False when that failed, and it is no more."""
        self.starts += 1
        self._loop.trace.note("server", "start %d", self.starts)
        self.life = Life("server", self.host)
        self.dead.clear()
        starting = self.life.start(self._start())
        await asyncio.wait([starting])
        if self.dead.is_set() or starting.cancelled():
            why: object = "killed"
        elif (error := starting.exception()) is None:
            self.server = starting.result()
            return True
        else:
            why = error
            if not isinstance(error, NotqmailError):
                raise error
        self._loop.trace.note("server", "not started: %s", why)
        await self.life.end()
        return False

    async def _start(self) -> Server:
        server = Server(self.config, self.world)
        network = self._loop.network
        sockets = {
            listen.name: [network.socket(*endpoint(bind)) for bind in listen.bind]
            for listen in self.config.listen
        }
        await server.start(sockets)
        return server

    async def stop(self, hurry: float | None = None) -> None:
        """Stop it as the service manager does; after `hurry` seconds with the second signal."""
        if self.server is None or self.life is None:
            return
        server, self.server = self.server, None
        self._loop.trace.note("server", "stopping")
        stopping = self.life.start(server.stop())
        if hurry is not None:
            await asyncio.wait([stopping], timeout=hurry)
            self.life.context.copy().run(server.hurry)
        _, late = await asyncio.wait([stopping], timeout=PATIENCE)
        if late:
            raise AssertionError(f"the server did not stop within {PATIENCE:.0f} s")
        if self.dead.is_set():  # killed in the middle of it
            await self.life.end()
            return
        stopping.result()
        self.left_over = [task.get_name() for task in self.life.tasks]
        self._loop.trace.note("server", "stopped")
        await self.life.end()

    async def crash(self, kind: Crash) -> None:
        """Kill it, if it is not dead already; only with this is it really over."""
        assert self.life is not None
        if not self.dead.is_set():
            self.world.disk.crash(kind)
            self._killed()
        await self.life.end()

    def _killed(self) -> None:
        """The disk says so, in the middle of something."""
        self.server = None
        self._loop.trace.note("server", "killed")
        assert self.life is not None
        self.life.kill()
        self.dead.set()
