"""A short life of a queue, as data: steps of things done at once. It runs on any store, and can be accounted for.

What a crash may leave is then plain: everything that was answered, and of the step that was under way any
part, each thing done wholly or not at all.
"""

import asyncio
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, Protocol

from notqmail.mail.entry import Entry, QueueFilter
from notqmail.mail.outcome import Action, Outcome
from notqmail.ports import Store
from notqmail.store.memory import MemoryStore
from tests.support.clock import EPOCH, FakeClock
from tests.support.stored import GONE, LATER, put, read, routed

Account = Mapping[str, tuple[object, ...]]  # queue id -> everything that must be right about it
Held = dict[tuple[str, str], Entry]  # the claims of this run, by id and destination


@dataclass(frozen=True)
class Put:
    """A message is committed."""

    id: str
    to: tuple[str, ...]
    octets: int = 300

    async def do(self, store: Store, held: Held) -> None:
        content = _octets(self.id, self.octets)
        for entry in await put(store, routed(self.id, *self.to, content=content)):
            held[entry.id, entry.hop.destination] = entry


@dataclass(frozen=True)
class Settle:
    """An attempt ends: the first `finished` recipients are done, the rest is delayed; `forward` and `bounce` are the
    ids of messages born of it."""

    id: str
    destination: str
    finished: int
    forward: str = ""
    bounce: str = ""

    async def do(self, store: Store, held: Held) -> None:
        entry = held.pop((self.id, self.destination))
        results = [
            Outcome(r, Action.RELAYED, GONE)
            if n < self.finished
            else Outcome(r, Action.DELAYED, LATER)
            for n, r in enumerate(entry.recipients)
        ]
        children = []
        if self.forward:
            children.append(
                routed(self.forward, "f@forward.example", content=entry.message.content)
            )
        if self.bounce:
            sorry = _octets(self.bounce, 5000)
            children.append(routed(self.bounce, "sender@example.com", sender="", content=sorry))
        for child in await store.settle(entry, results, EPOCH + 60, children):
            held[child.id, child.hop.destination] = child


@dataclass(frozen=True)
class Claim:
    """What is due is claimed."""

    async def do(self, store: Store, held: Held) -> None:
        for entry in await store.claim(EPOCH + 3600, 10):
            held[entry.id, entry.hop.destination] = entry


@dataclass(frozen=True)
class Edit:
    """An administrator acts on what is not being tried."""

    id: str
    action: Literal["hold", "release", "retry", "delete"]

    async def do(self, store: Store, held: Held) -> None:
        await store.edit(QueueFilter(id=self.id), self.action, EPOCH)


@dataclass(frozen=True)
class Restart:
    """The server is stopped and started."""

    async def do(self, store: Store, held: Held) -> None:
        held.clear()


@dataclass(frozen=True)
class Checkpoint:
    """The log is full: the next commit folds it into the database."""

    async def do(self, store: Store, held: Held) -> None:
        """Nothing that the queue would know of."""


Doing = Put | Settle | Claim | Edit | Restart | Checkpoint
Step = Sequence[Doing]

LIFE: Sequence[Step] = (
    [Put("0AA", ("alice@example.org",))],
    [Put("0BB", ("bob@example.org", "b@far.example", "c@far.example"), 20_000)],
    [
        Put("0CC", ("alice@example.org",)),
        Put("0DD", ("dora@example.org",), 3000),
        Settle("0AA", "local:alice@example.org", 1),
    ],
    [Checkpoint()],
    [Settle("0BB", "smtp:far.example", 1, bounce="0EE")],
    [
        Settle("0BB", "local:bob@example.org", 1, forward="0FF"),
        Put("0GG", ("g@far.example",), 1500),
    ],
    [Claim()],
    [Settle("0BB", "smtp:far.example", 1), Settle("0CC", "local:alice@example.org", 0)],
    [Put("0HH", ("h@example.org",), 900)],
    [Checkpoint()],
    [Settle("0HH", "local:h@example.org", 1)],
    # the first commit after a checkpoint, of more pages than the first one after the checkpoint before
    [Put("0KK", tuple(f"k@{n}.{'long.' * 40}example" for n in range(40)), 3900)],
    [Restart()],
    [Put("0II", ("i@far.example",), 40_000)],
    [Edit("0CC", "delete"), Edit("0DD", "delete")],
    [Edit("0GG", "hold"), Edit("0EE", "retry")],
    [Put("0JJ", ("j@example.org",)), Settle("0II", "smtp:far.example", 1)],
)


def _octets(id: str, size: int) -> bytes:
    """Content that differs in every sector, and between messages."""
    line = hashlib.sha256(id.encode()).hexdigest()
    return "".join(f"{line} {n:06}\r\n" for n in range(size // 73 + 1)).encode()[:size]


async def account(store: Store) -> Account:
    """Say of each message what must be right. Leases are left out: a crash voids them."""
    found: dict[str, tuple[object, ...]] = {}
    rows = await store.find(QueueFilter())
    for id in dict.fromkeys(row.id for row in rows):
        item = await store.open(id)
        assert item is not None, f"{id} is listed and cannot be opened"
        lines = tuple(
            (
                r.sender,
                r.recipient,
                r.destination,
                r.attempts,
                r.due,
                r.state == "held",
                r.last_reply,
            )
            for r in rows
            if r.id == id
        )
        content = await read(item.message.content)
        found[id] = (*lines, len(content), hashlib.sha256(content).hexdigest())
    return found


class World(Protocol):
    """What happens to a store rather than in it."""

    async def restart(self) -> Store: ...
    def checkpoint(self) -> None: ...
    def mark(self, text: str) -> None:
        """Note "asked N" before step N, and "answered N.M" after its part M."""


async def perform(store: Store, steps: Sequence[Step], world: World, first: int = 0) -> None:
    """Live through `steps`, counted from `first`."""
    held: Held = {}

    async def one(number: int, part: int, doing: Doing) -> None:
        await doing.do(store, held)
        world.mark(f"answered {number}.{part}")

    for number, step in enumerate(steps, first):
        world.mark(f"asked {number}")
        match step:
            case [Restart()]:
                store = await world.restart()
            case [Checkpoint()]:
                world.checkpoint()
        await asyncio.gather(*(one(number, part, doing) for part, doing in enumerate(step)))


class MemoryWorld:
    """The world of a store in memory."""

    def __init__(self) -> None:
        self.store = MemoryStore(FakeClock())

    async def restart(self) -> Store:
        self.store.restart()
        return self.store

    def checkpoint(self) -> None:
        """A memory has no log."""

    def mark(self, text: str) -> None:
        """Nobody asks."""


class Ledger:
    """What may be found after a crash, for every point of a life."""

    def __init__(
        self, accounts: Mapping[tuple[int, frozenset[int]], Account], steps: Sequence[Step]
    ):
        self._accounts = accounts
        self._steps = steps

    @classmethod
    async def of(cls, steps: Sequence[Step]) -> "Ledger":
        """Live through it in memory, once for every part of every step."""
        accounts: dict[tuple[int, frozenset[int]], Account] = {(0, frozenset()): {}}
        for number, step in enumerate(steps):
            for parts in _subsets(range(len(step))):
                world = MemoryWorld()
                life = [*steps[:number], [step[part] for part in sorted(parts)]]
                await perform(world.store, life, world)
                accounts[number, parts] = await account(world.store)
        return cls(accounts, steps)

    def allowed(self, marks: Sequence[str]) -> list[Account]:
        """What may be found when the crash came after these marks."""
        asked = [int(m.split()[1]) for m in marks if m.startswith("asked")]
        if not asked:
            return [{}]
        number = asked[-1]
        answered = {int(m.rpartition(".")[2]) for m in marks if m.startswith(f"answered {number}.")}
        return [
            self._accounts[number, parts]
            for parts in _subsets(range(len(self._steps[number])))
            if answered <= parts
        ]


def _subsets(parts: Collection[int]) -> list[frozenset[int]]:
    return [frozenset(c) for size in range(len(parts) + 1) for c in combinations(parts, size)]
