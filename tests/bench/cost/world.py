"""The worlds that shapes run the server in: the real one, with what a shape does not count left out."""

import itertools
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from notqmail.app.machine import Machine
from notqmail.app.server import Server
from notqmail.config import Config, Domain, Listen, Queue, Size
from notqmail.mail.entry import Entry
from notqmail.mail.hop import Hop
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply
from notqmail.ports import Transport
from notqmail.smtpd.listener import bind
from notqmail.store.memory import MemoryStore
from notqmail.system.clock import SystemClock
from tests.bench.cost.mail import BORN, DOMAIN, HOSTNAME, MAILBOX

LOOK = 20e-6  # seconds from one look at the clock to the next, about as served
_DELIVERED = Reply(250, "2.0.0", "Delivered")


class CallClock(SystemClock):
    """Moves by a fixed span at each look: what is done so many times a second is done as often in every run, and not
    the more often the slower the machine counts."""

    def __init__(self) -> None:
        self._looks = itertools.count(1)

    def now(self) -> float:
        return BORN + self.monotonic()

    def monotonic(self) -> float:
        return next(self._looks) * LOOK


class World(Machine):
    """The real machine, with the same clock and the same random numbers in every run."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = CallClock()
        self.random = random.Random(1)


class NoJournal:
    """Forgets what is decided; that records are made still counts."""

    dropped = 0

    def write(self, record: Mapping[str, Any]) -> None: ...

    async def find(self, ref: str, limit: int = 50) -> Sequence[Mapping[str, Any]]:
        return ()

    async def close(self) -> None: ...


class NoStore(MemoryStore):
    """Takes every message and forgets it."""

    trouble = ""

    def insert(self, *_: Any) -> Sequence[Entry]:
        return ()


class Delivered:
    """A transport that has delivered at once."""

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        return [Outcome(recipient, Action.DELIVERED, _DELIVERED) for recipient in entry.recipients]

    async def lane(self, hop: Hop) -> str:
        return hop.transport

    async def close(self) -> None: ...


class FrontWorld(World):
    """Nothing behind the intake, no doors."""

    def journal(self, config: Config) -> Any:
        return NoJournal()

    async def store(self, config: Config) -> Any:
        return NoStore(self.clock)

    async def transports(self, config: Config, later: Any) -> Mapping[str, Transport]:
        return {"local": Delivered()}

    async def doors(self, server: Server, later: Any) -> None: ...


def config(directory: Path) -> Config:
    """A server with one domain, one mailbox and one listener."""
    (directory / "users").write_text(f"{MAILBOX}\n", "utf-8")
    (directory / "aliases").write_text("", "utf-8")
    data = directory / "data"
    data.mkdir()
    return Config(
        hostname=HOSTNAME,
        data_dir=str(data),
        users=str(directory / "users"),
        aliases=str(directory / "aliases"),
        listen=(Listen(name="mx", kind="mx", bind=("127.0.0.1:0",)),),
        domain=(Domain(name=DOMAIN),),
        queue=Queue(free_space=Size(0)),
        path=str(directory / "notqmail.toml"),
    )


@asynccontextmanager
async def serving(world: Any, directory: Path) -> AsyncIterator[Server]:
    """Run a server in `world`; its port is whichever is free."""
    settings = config(directory)
    server = Server(settings, world)
    await server.start({"mx": bind(settings.listen[0].bind, "listen[0].bind")})
    try:
        yield server
    finally:
        await server.stop()
