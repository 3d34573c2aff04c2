"""A disk that is a dictionary: the queue of store/memory.py and mailboxes, each operation late, each whole or not at all.

A crash falls before an operation or after it; nothing is ever half done. What a real disk does is in disk.py.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence

from notqmail.config import Config
from notqmail.delivery.letter import octets, trace
from notqmail.mail.address import Address
from notqmail.mail.entry import Entry, Routed
from notqmail.mail.errors import SpoolError
from notqmail.mail.hop import Hop
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply
from notqmail.ports import Clock
from notqmail.store.memory import MemoryDraft, MemoryStore
from tests.simulation.chance import spread
from tests.simulation.disk import Crash

DELIVERED = Reply(250, "2.0.0", "Delivered")
FULL = Reply(452, "4.3.1", "no space left")


class LateDraft(MemoryDraft):
    """A draft whose commit takes a while."""

    def __init__(self, store: "LateStore") -> None:
        super().__init__(store)
        self._late = store

    async def commit(self, routed: Routed) -> Sequence[Entry]:
        await self._late.pause(writing=True)
        entries = await super().commit(routed)
        await self._late.pause()
        return entries


class LateStore(MemoryStore):
    """The queue in memory, behind a disk that takes its time and can be full."""

    trouble = ""

    def __init__(self, clock: Clock, random: random.Random) -> None:
        super().__init__(clock)
        self._random = random
        self.full = False
        self.operations = 0

    async def pause(self, *, writing: bool = False) -> None:
        """Take a moment; raise SpoolError when there is no room."""
        self.operations += 1
        await asyncio.sleep(spread(self._random, 0.0001, 0.05))
        if writing and self.full:
            raise SpoolError("no space left on device")

    def draft(self) -> LateDraft:
        return LateDraft(self)

    async def claim(
        self, now: float, limit: int, skip: Sequence[str] = (), skip_transport: str = ""
    ) -> Sequence[Entry]:
        await self.pause(writing=True)
        return await super().claim(now, limit, skip, skip_transport)

    async def settle(
        self,
        entry: Entry,
        outcomes: Sequence[Outcome],
        next_due: float | None = None,
        children: Sequence[Routed] = (),
        delay_told: bool = False,
    ) -> Sequence[Entry]:
        await self.pause(writing=True)
        entries = await super().settle(entry, outcomes, next_due, children, delay_told)
        await self.pause()
        return entries

    async def release(self, entries: Sequence[Entry], due: float | None = None) -> None:
        await self.pause(writing=True)
        await super().release(entries, due)


class MemoryMailboxes:
    """ports.Transport into mailboxes. A file name is the id and the recipient: delivered twice is there once."""

    def __init__(self, clock: Clock, random: random.Random) -> None:
        self._clock, self._random = clock, random
        self.files: dict[tuple[str, str, str], bytes] = {}
        self.full = False

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        """See ports.Transport."""
        return [await self._deliver(entry, r.address, r) for r in entry.recipients]

    async def _deliver(self, entry: Entry, address: Address, recipient: object) -> Outcome:
        await asyncio.sleep(spread(self._random, 0.0001, 0.05))
        reply, action = FULL, Action.DELAYED
        if not self.full:
            whole = b"".join([chunk async for chunk in entry.message.chunks()])
            self.put(
                entry.hop.nexthop, entry.id, str(address), octets(trace(entry, address), whole)
            )
            reply, action = DELIVERED, Action.DELIVERED
        await asyncio.sleep(spread(self._random, 0.0001, 0.05))
        [wanted] = [r for r in entry.recipients if r is recipient]
        return Outcome(wanted, action, reply, "", self._clock.now())

    def put(self, mailbox: str, id: str, recipient: str, octets: bytes) -> None:
        """Write one file."""
        self.files[mailbox, id, recipient] = octets

    async def lane(self, hop: Hop) -> str:
        """See ports.Transport."""
        return hop.transport

    async def close(self) -> None:
        """Nothing is open."""


class MemoryDisk:
    """program.Disk."""

    troubles = ("full",)

    def __init__(self, clock: Clock, random: random.Random) -> None:
        self.on_crash: Callable[[], None] = lambda: None
        self.queue = LateStore(clock, random)
        self.mailboxes = MemoryMailboxes(clock, random)

    async def store(self, config: Config) -> LateStore:
        """Open the queue: what was held by the one before is free."""
        self.queue.restart()
        return self.queue

    def local(self, config: Config) -> MemoryMailboxes:
        """The way into the mailboxes."""
        return self.mailboxes

    @property
    def operations(self) -> int:
        return self.queue.operations

    def crash(self, kind: Crash) -> None:
        """Nothing is under way that could be half done."""

    def crash_after(self, operations: int, kind: Crash) -> None:
        """Operations are not counted here: it does not come."""

    def suffer(self, trouble: str) -> None:
        """From now on there is no room."""
        self.queue.full = self.mailboxes.full = True

    def recover(self) -> None:
        """There is room again."""
        self.queue.full = self.mailboxes.full = False

    def close(self) -> None:
        """Nothing is open."""

    def mail(self) -> Mapping[str, Sequence[bytes]]:
        """What lies in each mailbox."""
        found: dict[str, list[bytes]] = {}
        for (mailbox, _, _), content in self.mailboxes.files.items():
            found.setdefault(mailbox, []).append(content)
        return found
