"""The queue in memory, for tests and simulations. It forgets; in all else it behaves as the SQLite store does."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from notqmail.mail.entry import Entry, QueueFilter, QueueRow, Routed
from notqmail.mail.envelope import Recipient
from notqmail.mail.errors import SpoolError
from notqmail.mail.hop import Hop
from notqmail.mail.message import Content, Message, Octets
from notqmail.mail.outcome import Outcome
from notqmail.ports import Clock
from notqmail.store.matching import Matcher
from notqmail.store.ops import stale
from notqmail.store.progress import progress_of
from notqmail.store.rows import (
    ACTIVE,
    FIRST_TOKEN,
    HELD,
    WAITING,
    describe_last,
    share,
    split,
    state_word,
)

# action -> the states it acts on; an active entry is left to its attempt
_ACTS_ON = {"hold": (WAITING,), "release": (HELD,), "retry": (WAITING,), "delete": (WAITING, HELD)}


@dataclass(slots=True)
class _Pending:
    """A recipient: its position in the envelope, and column recipient.last."""

    n: int
    recipient: Recipient
    last: str | None = None


@dataclass(slots=True)
class _Slot:
    """What an entry's row holds, with its recipients."""

    id: str
    message: Message
    hop: Hop
    born: float
    due: float
    pending: list[_Pending]
    state: int = ACTIVE
    token: int = FIRST_TOKEN
    attempts: int = 0
    recovered: bool = False
    delay_told: bool = False
    login: str = ""

    @property
    def destination(self) -> str:
        return self.hop.destination

    @property
    def rank(self) -> tuple[float, str, str]:
        """The order of claims."""
        return self.due, self.destination, self.id

    def leased_by(self, entry: Entry) -> bool:
        return self.state == ACTIVE and self.token == entry.token

    def row(self, pending: _Pending, now: float) -> QueueRow:
        """One line of `queue list`."""
        sender = self.message.envelope.sender
        return QueueRow(
            id=self.id,
            sender="" if sender is None else str(sender),
            recipient=str(pending.recipient.address),
            destination=self.destination,
            size=self.message.content.size,
            born=self.born,
            due=self.due,
            attempts=self.attempts,
            state=state_word(self.state, self.due, now),
            last_reply=describe_last(pending.last),
        )


class MemoryDraft:
    """ports.Draft."""

    def __init__(self, store: "MemoryStore") -> None:
        self._store = store
        self._held = bytearray()
        self._ended = False

    @property
    def size(self) -> int:
        return len(self._held)

    def write(self, chunk: bytes) -> None:
        self._held += chunk

    def content(self) -> Content:
        return Octets(bytes(self._held))

    async def commit(self, routed: Routed) -> Sequence[Entry]:
        self._end()
        return self._store.insert(routed, self.content())

    def discard(self) -> None:
        self._end()

    def _end(self) -> None:
        if self._ended:
            raise RuntimeError("the draft has been committed or discarded already")
        self._ended = True


class MemoryStore:
    """ports.Store."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slots: dict[tuple[str, str], _Slot] = {}
        self._closed = False

    def draft(self) -> MemoryDraft:
        return MemoryDraft(self)

    def insert(self, routed: Routed, content: Content) -> Sequence[Entry]:
        """Add a message and claim it, unless it is held."""
        self._check_open()
        if any(id == routed.id for id, _ in self._slots):
            raise SpoolError(f"m={routed.id} is in the queue already")
        entries = split(routed, content)
        recipients = routed.message.envelope.recipients
        for entry in entries:
            places = [n for n, hop in enumerate(routed.hops) if hop == entry.hop]
            pending = [_Pending(n, recipients[n]) for n in places]
            self._slots[entry.id, entry.hop.destination] = _Slot(
                entry.id,
                entry.message,
                entry.hop,
                entry.born,
                entry.born,
                pending,
                state=HELD if routed.held else ACTIVE,
                login=routed.login,
            )
        return [] if routed.held else entries

    async def claim(
        self, now: float, limit: int, skip: Sequence[str] = (), skip_transport: str = ""
    ) -> Sequence[Entry]:
        self._check_open()
        waiting = self._waiting(skip, skip_transport)
        due = sorted((slot for slot in waiting if slot.due <= now), key=lambda slot: slot.rank)
        return [self._lease(slot) for slot in due[:limit]]

    def _lease(self, slot: _Slot) -> Entry:
        slot.state = ACTIVE
        slot.token += 1
        message = share(slot.message, [pending.recipient for pending in slot.pending])
        told = slot.delay_told
        return Entry(
            slot.id, message, slot.hop, slot.born, slot.token, slot.attempts, slot.recovered, told
        )

    async def settle(
        self,
        entry: Entry,
        outcomes: Sequence[Outcome],
        next_due: float | None = None,
        children: Sequence[Routed] = (),
        delay_told: bool = False,
    ) -> Sequence[Entry]:
        rest = progress_of(entry, outcomes, next_due, delay_told)
        contents = [await _whole(child.message.content) for child in children]
        slot = self._leased(entry)
        if any(id == child.id for child in children for id, _ in self._slots):
            raise SpoolError("a child of this settlement is in the queue already")
        if rest is None:
            del self._slots[slot.id, slot.destination]
        else:
            for position, last in rest.last.items():
                slot.pending[position].last = last
            slot.pending = [p for i, p in enumerate(slot.pending) if i not in rest.finished]
            slot.state, slot.due, slot.attempts = WAITING, rest.due, slot.attempts + 1
            slot.delay_told = slot.delay_told or delay_told
        return [
            new
            for child, content in zip(children, contents, strict=True)
            for new in self.insert(child, content)
        ]

    async def release(self, entries: Sequence[Entry], due: float | None = None) -> None:
        refused = []
        for entry in entries:
            try:
                slot = self._leased(entry)
            except SpoolError:
                refused.append((entry.id, entry.hop.destination, entry.token))
                continue
            slot.state = WAITING
            slot.due = slot.due if due is None else due
        if refused:
            raise stale(refused)

    async def find(self, which: QueueFilter, limit: int = 1000) -> Sequence[QueueRow]:
        now = self._clock.now()
        return [slot.row(pending, now) for slot, pending in self._matching(which, now)][:limit]

    async def open(self, id: str) -> Routed | None:
        self._check_open()
        slots = [slot for slot in self._slots.values() if slot.id == id]
        if not slots:
            return None
        found = sorted(((p, s) for s in slots for p in s.pending), key=lambda item: item[0].n)
        marks = {r: mark for slot in slots for r, mark in slot.message.marks.items()}
        whole = replace(slots[0].message, marks=marks)
        message = share(whole, [pending.recipient for pending, _ in found])
        return Routed(
            id, message, tuple(slot.hop for _, slot in found), slots[0].born, slots[0].login
        )

    async def edit(
        self,
        which: QueueFilter,
        action: Literal["hold", "release", "retry", "delete"],
        now: float,
    ) -> Sequence[QueueRow]:
        rows = []
        found = self._matching(which, now)
        acted = {id(slot): slot.state in _ACTS_ON[action] for slot, _ in found}
        for slot, pending in found:
            if not acted[id(slot)] and slot.state != ACTIVE:
                continue
            if acted[id(slot)]:
                self._act(slot, pending, action, now)
            rows.append(slot.row(pending, now))
        return rows

    def _act(self, slot: _Slot, pending: _Pending, action: str, now: float) -> None:
        match action:
            case "delete":
                slot.pending.remove(pending)
                if not slot.pending:
                    del self._slots[slot.id, slot.destination]
            case "retry":
                slot.due = now
            case _:
                slot.state = HELD if action == "hold" else WAITING

    async def next_due(self, skip: Sequence[str] = (), skip_transport: str = "") -> float | None:
        self._check_open()
        return min((slot.due for slot in self._waiting(skip, skip_transport)), default=None)

    async def counts(self) -> Mapping[str, int]:
        self._check_open()
        counts = dict.fromkeys(("active", "due", "deferred", "held"), 0)
        now = self._clock.now()
        for slot in self._slots.values():
            counts[state_word(slot.state, slot.due, now)] += len(slot.pending)
        return counts

    async def close(self) -> None:
        self._closed = True

    def restart(self) -> None:
        """What a crash and a new start leave: nobody holds anything, what was held may have been delivered."""
        self._closed = False
        for slot in self._slots.values():
            if slot.state == ACTIVE:
                slot.state, slot.recovered = WAITING, True

    def _check_open(self) -> None:
        if self._closed:
            raise SpoolError("the queue is closed")

    def _leased(self, entry: Entry) -> _Slot:
        self._check_open()
        slot = self._slots.get((entry.id, entry.hop.destination))
        if slot is None or not slot.leased_by(entry):
            raise stale([(entry.id, entry.hop.destination, entry.token)])
        return slot

    def _waiting(self, skip: Sequence[str], transport: str) -> Iterator[_Slot]:
        skipped = frozenset(skip)
        for slot in self._slots.values():
            passed_over = slot.destination in skipped or slot.hop.transport == transport
            if slot.state == WAITING and not passed_over:
                yield slot

    def _matching(self, which: QueueFilter, now: float) -> list[tuple[_Slot, _Pending]]:
        self._check_open()
        matcher = Matcher(which, now)
        found = [
            (slot, pending)
            for slot in self._slots.values()
            if matcher.message(slot.id, slot.message.envelope.sender, slot.born, slot.login)
            for pending in slot.pending
            if matcher.recipient(pending.recipient.address, held=slot.state == HELD)
        ]
        return sorted(found, key=lambda item: (item[0].id, item[0].destination, item[1].n))


async def _whole(content: Content) -> Content:
    return Octets(b"".join([chunk async for chunk in content.chunks()]))
