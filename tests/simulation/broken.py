"""Servers with a bug in them, put together from the usual parts and one that is wrong: the simulation must find each.

`BROKEN` maps what is wrong to the parts that make it so and to the beginning of the sentence that must be found.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from notqmail.app.server import Server
from notqmail.app.world import Later
from notqmail.config import Config
from notqmail.mail.entry import Entry
from notqmail.mail.hop import Hop
from notqmail.mail.message import Octets
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply
from notqmail.ports import Clock, Transport
from notqmail.store.sqlite import SqliteStore
from tests.simulation.chance import Chance
from tests.simulation.disk import Notes, SimulatedDisk
from tests.simulation.program import Disk, Program, SimulatedWorld
from tests.simulation.scenario import MakeDisk, MakeProgram, server_disk
from tests.simulation.server_disk import DATA, ServerDisk
from tests.simulation.trace import Trace
from tests.support.clock import FakeClock


class _UnsyncedDevice(SimulatedDisk):
    """Says that it has synced."""

    def sync(self, inode: int, path: object) -> None:
        """Nothing is made certain."""


class _UnsyncedDisk(ServerDisk):
    """As if the store and the Maildirs answered before anything was certain."""

    def __init__(self, clock: Clock, chance: random.Random, notes: Notes | None = None) -> None:
        super().__init__(clock, chance, notes)
        self.device = _UnsyncedDevice(chance, DATA, notes)


def _unsynced(clock: FakeClock, chance: Chance, trace: Trace) -> Disk:
    return _UnsyncedDisk(clock, chance.of("disk"))


class _Timeless:
    """A queue like another one, that never says when something will be due."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def next_due(self, skip: Sequence[str] = (), skip_transport: str = "") -> float | None:
        return None


class _TimelessDisk(ServerDisk):
    async def store(self, config: Config) -> SqliteStore:
        return cast(SqliteStore, _Timeless(await super().store(config)))


def _timeless(clock: FakeClock, chance: Chance, trace: Trace) -> Disk:
    return _TimelessDisk(clock, chance.of("disk"))


class _Wrapped:
    """A transport like the one it wraps, but for `deliver`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        return await self._transport.deliver(entry)

    async def lane(self, hop: Hop) -> str:
        return await self._transport.lane(hop)

    async def close(self) -> None:
        await self._transport.close()


class _Twice(_Wrapped):
    """Delivers again what was delivered."""

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        await super().deliver(entry)
        return await super().deliver(entry)


class _Pretending(_Wrapped):
    """Says of what it could not deliver that it did."""

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        outcomes = await super().deliver(entry)
        done = Reply(250, "2.0.0", "delivered")
        return [replace(each, action=Action.RELAYED, reply=done) for each in outcomes]


class _Altering(_Wrapped):
    """Loses the last line."""

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        whole = b"".join([chunk async for chunk in entry.message.content.chunks()])
        shorter = whole[: whole.rstrip().rfind(b"\r\n") + 2]
        message = replace(entry.message, content=Octets(shorter))
        return await super().deliver(replace(entry, message=message))


class _Queueing(_Wrapped):
    """Waits for whoever else delivers."""

    def __init__(self, transport: Transport, turn: asyncio.Lock) -> None:
        super().__init__(transport)
        self._turn = turn

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        async with self._turn:
            return await super().deliver(entry)


def _twice(transports: Mapping[str, Transport]) -> Mapping[str, Transport]:
    return {**transports, "smtp": _Twice(transports["smtp"])}


def _pretending(transports: Mapping[str, Transport]) -> Mapping[str, Transport]:
    return {**transports, "smtp": _Pretending(transports["smtp"])}


def _altering(transports: Mapping[str, Transport]) -> Mapping[str, Transport]:
    return {**transports, "local": _Altering(transports["local"])}


def _queueing(transports: Mapping[str, Transport]) -> Mapping[str, Transport]:
    turn = asyncio.Lock()
    return {name: _Queueing(transport, turn) for name, transport in transports.items()}


class _Rewired(Program):
    """A server whose transports are other ones."""

    def __init__(
        self,
        *parts: Any,
        rewire: Callable[[Mapping[str, Transport]], Mapping[str, Transport]],
    ) -> None:
        super().__init__(*parts)
        self.world = _RewiredWorld(self.world, rewire)


class _RewiredWorld(SimulatedWorld):
    def __init__(
        self,
        world: SimulatedWorld,
        rewire: Callable[[Mapping[str, Transport]], Mapping[str, Transport]],
    ) -> None:
        self.__dict__.update(world.__dict__)
        self._rewire = rewire

    async def transports(self, config: Config, later: Later) -> Mapping[str, Transport]:
        return self._rewire(await super().transports(config, later))


class _Forgetful(Program):
    """A server whose manager loses every seventh entry that comes from intake."""

    _taken = 0

    async def _start(self) -> Server:
        server = await super()._start()
        take = server.intake.on_entries
        assert take is not None

        def forget(entries: Sequence[Entry]) -> None:
            self._taken += 1
            take([] if self._taken % 7 == 0 else entries)

        server.intake.on_entries = forget
        return server


class _Untidy(Program):
    """A server that leaves a task behind."""

    async def _start(self) -> Server:
        server = await super()._start()
        self._forgotten = asyncio.create_task(asyncio.Event().wait(), name="forgotten")
        return server


def _rewired(
    rewire: Callable[[Mapping[str, Transport]], Mapping[str, Transport]],
) -> MakeProgram:
    return lambda *parts: _Rewired(*parts, rewire=rewire)


@dataclass(frozen=True, slots=True)
class Bug:
    """Parts with a bug, and how the sentence begins that gives it away."""

    sentence: str
    make_disk: MakeDisk = server_disk
    make_program: MakeProgram = Program


BROKEN: Mapping[str, Bug] = {
    "answers before the disk has it": Bug("lost:", make_disk=_unsynced),
    "relays twice": Bug("twice:", make_program=_rewired(_twice)),
    "says it relayed what it could not": Bug("lost:", make_program=_rewired(_pretending)),
    "alters what it delivers": Bug("altered:", make_program=_rewired(_altering)),
    "keeps local mail waiting for remote": Bug("late:", make_program=_rewired(_queueing)),
    "forgets what is due later": Bug("starved:", make_disk=_timeless),
    "loses entries on the way to the manager": Bug(
        "the queue is not empty", make_program=_Forgetful
    ),
    "leaves a task behind": Bug("tasks left over:", make_program=_Untidy),
}
