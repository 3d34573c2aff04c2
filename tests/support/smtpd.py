"""What a dialogue or a session needs around it, in memory: for unit tests and for measuring."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from notqmail.config import Limits
from notqmail.mail.entry import Entry, Routed
from notqmail.mail.errors import SpoolError
from notqmail.mail.message import Content, Message, Octets
from notqmail.policy.pipeline import Pipeline
from notqmail.policy.reference import References
from notqmail.policy.relay_guard import RelayGuard
from notqmail.policy.settle import Disagreement
from notqmail.policy.transaction import Transaction
from notqmail.ports import Draft
from notqmail.smtpd.login import Logins
from notqmail.smtpd.service import Doors, Service
from notqmail.system.clock import SystemClock


class MemoryDraft:
    """A draft in memory. `pressure` is awaited by every write, `fault` raised by it."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.discarded = False
        self.pressure: Awaitable[None] | None = None
        self.fault: SpoolError | None = None

    @property
    def size(self) -> int:
        return sum(map(len, self.parts))

    def write(self, chunk: bytes) -> Awaitable[None] | None:
        if self.fault is not None:
            raise self.fault
        self.parts.append(chunk)
        return self.pressure

    def content(self) -> Content:
        return Octets(b"".join(self.parts))

    async def commit(self, routed: Routed) -> Sequence[Entry]:
        return ()

    def discard(self) -> None:
        self.discarded = True


class NullStore:
    """Hands out drafts and remembers them."""

    def __init__(self) -> None:
        self.drafts: list[MemoryDraft] = []
        self.fault: SpoolError | None = None

    def draft(self) -> MemoryDraft:
        if self.fault is not None:
            raise self.fault
        draft = MemoryDraft()
        self.drafts[:] = [draft]
        return draft


class Intake:
    """Takes every message and remembers it; `fault` is raised instead, `gate` awaited before."""

    def __init__(self) -> None:
        self.accepted: list[tuple[str, Message, bytes]] = []
        self.transactions: list[Transaction] = []
        self.fault: SpoolError | None = None
        self.gate: Awaitable[None] | None = None
        self.remember = True

    async def accept(self, draft: Draft, message: Message, txn: Transaction) -> str:
        if self.gate is not None:
            await self.gate
        if self.fault is not None:
            raise self.fault
        if self.remember:
            self.transactions.append(txn)
            self.accepted.append((txn.id, message, message.content.whole or b""))
        return txn.id


class Records:
    """A journal in a list."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def write(self, record: Any) -> None:
        self.records.append(record)


class Observer:
    """Counts what sessions report."""

    def __init__(self) -> None:
        self.connections: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()
        self.handshakes: Counter[str] = Counter()
        self.logins: Counter[str] = Counter()

    def connected(self, listener: str) -> None:
        self.connections[listener] += 1

    def refused(self, reason: str) -> None:
        self.refusals[reason] += 1

    def accepted(self, listener: str) -> None:
        self.messages[listener] += 1

    def secured(self, listener: str, result: str) -> None:
        self.handshakes[result] += 1

    def logged_in(self, listener: str, result: str) -> None:
        self.logins[result] += 1


class Serial:
    """Queue ids 1, 2, 3 …"""

    def __init__(self) -> None:
        self.last = 0

    def __call__(self) -> str:
        self.last += 1
        return f"Q{self.last}"


def service(
    stages: Sequence[object] = (),
    *,
    limits: Limits | None = None,
    local: frozenset[str] = frozenset({"example.org"}),
    store: NullStore | None = None,
    intake: Intake | None = None,
    journal: Records | None = None,
    counts: Observer | None = None,
    clock: Any = None,
    repair_bare_lf: bool = False,
    greet_delay: float = 0.0,
    disagreement: Disagreement = Disagreement.QUARANTINE,
    kind: str = "mx",
    doors: Doors | None = None,
    logins: Logins | None = None,
    met: Callable[[str], None] = lambda address: None,
) -> Service:
    """A listener's service over the parts above; what is not given is made."""
    clock = clock or SystemClock()
    reference = References(clock.now)
    return Service(
        listener=kind,
        kind=kind,
        hostname="mx.example.org",
        limits=limits or Limits(),
        repair_bare_lf=repair_bare_lf,
        greet_delay=greet_delay,
        disagreement=disagreement,
        pipeline=Pipeline(
            stages,
            clock,
            RelayGuard(local.__contains__),
            reference=reference,
        ),
        store=store or NullStore(),  # type: ignore[arg-type]
        intake=intake or Intake(),
        journal=journal or Records(),  # type: ignore[arg-type]
        clock=clock,
        counts=counts or Observer(),
        new_id=Serial(),
        new_ref=reference,
        doors=doors or Doors(),
        logins=logins,
        met=met,
    )
