"""The disk of a server: the real queue and real Maildirs on a simulated disk, through all lives of the server.

disk = ServerDisk(clock, random.Random(seed), trace)
disk.on_crash = program.killed           # called at once, in the middle of an operation of the server
disk.crash_after(120, "power")
world = SimulatedWorld(..., disk, ...)   # it is program.Disk: `store` and `local` are what app.World gives
disk.mail()                              # what can be found in the mailboxes
disk.close()                             # at the end of the run
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from notqmail.config import Config
from notqmail.delivery.maildir import MaildirTransport
from notqmail.mail.idn import canonical_domain
from notqmail.ports import Clock
from notqmail.store.sqlite import SqliteStore
from notqmail.system.offload import ThreadPool
from tests.simulation.database import Databases
from tests.simulation.disk import Crash, Mount, Notes, SimulatedDisk
from tests.simulation.files import BlobFiles, MailFiles
from tests.simulation.jobs import LoopPool, LoopWriter
from tests.simulation.loop import SimulatedLoop

BLOB_THREADS = 4
DATA = Path("/data")


def nobody_cares() -> None:
    """What a crash calls when nobody has asked to be called."""


class ServerDisk:
    """program.Disk, whatever `data_dir` says. `device` is the disk itself."""

    troubles = ("full", "nearly full", "read-only", "slow", "failing")

    def __init__(
        self, clock: Clock, chance: random.Random, notes: Notes | None = None, root: Path = DATA
    ) -> None:
        self._clock = clock
        self.device = SimulatedDisk(chance, root, notes)
        self.on_crash: Callable[[], None] = nobody_cares
        self._mount: Mount | None = None
        self._databases: Databases | None = None

    # -- what a server opens -----------------------------------------------------------------------------------

    async def store(self, config: Config) -> SqliteStore:
        """Open the queue, as a start does."""
        self.close()
        loop = asyncio.get_running_loop()
        if isinstance(loop, SimulatedLoop):
            loop.took = self.device.take_time
        self._mount = mount = self.device.mount(lambda: self.on_crash())
        self._databases = Databases(mount, self.device.chance)
        return await SqliteStore.start(
            self.device.root,
            config.queue,
            self._clock,
            lock=False,  # SimulatedDisk.mount looks after that
            files=BlobFiles(mount),
            connect=self._databases.connect,
            pool=LoopPool,
            writer=LoopWriter,
        )

    def local(self, config: Config) -> MaildirTransport:
        """The way into the mailboxes."""
        assert self._mount is not None, "the queue is opened first"
        return MaildirTransport(
            self.device.root,
            config.mailbox,
            canonical_domain(config.hostname),
            self._clock,
            ThreadPool(BLOB_THREADS),  # which has no thread as long as the loop runs its jobs
            files=MailFiles(self._mount),
        )

    @property
    def operations(self) -> int:
        """Changes and syncs so far."""
        return self.device.operations

    # -- what happens to it --------------------------------------------------------------------------------------

    def crash(self, kind: Crash = "kill") -> None:
        """End the server that uses it: nothing it does from now on has any effect."""
        if self._mount is not None and self._mount.alive:
            self.device.crash(kind)

    def crash_after(self, operations: int, kind: Crash) -> None:
        """The same when so many more operations have been done."""
        self.device.crash_at(self.device.operations + 1 + operations, kind)

    def suffer(self, trouble: str) -> None:
        """Begin one of `troubles`."""
        device = self.device
        match trouble:
            case "full":
                device.room = 0
            case "nearly full":
                device.room = device.chance.randrange(300_000)
            case "read-only":
                device.read_only = True
            case "slow":
                device.slow = 2.0
            case "failing":
                device.bad_syncs = 0.3
            case _:
                raise ValueError(trouble)

    def recover(self) -> None:
        """The disk is well again."""
        device = self.device
        device.room, device.read_only = None, False
        device.slow = device.bad_syncs = 0.0

    def close(self) -> None:
        """The server is no more: let go of what it had open."""
        if self._mount is not None:
            self._mount.leave()
        if self._databases is not None:
            self._databases.end()
            self._databases = None

    # -- what is found ---------------------------------------------------------------------------------------------

    def mail(self) -> Mapping[str, Sequence[bytes]]:
        """What lies in each mailbox (new/ and cur/): address to the octets of its messages."""
        found: dict[str, list[bytes]] = {}
        for path, content in self.device.content().items():
            match path.split("/"):
                case ["mail", domain, local, "Maildir", "new" | "cur", _]:
                    found.setdefault(f"{local}@{domain}", []).append(content)
        return found
