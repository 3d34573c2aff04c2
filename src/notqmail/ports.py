"""Ports: what decisions need of the world, as Protocols. Nothing here is concrete.

A method is `async` only when it can wait. One that usually need not wait returns the value, or an
Awaitable of it: `None | Awaitable[None]` (see docs/adr/0002).
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Literal, Protocol, TypeVar

from notqmail.mail.address import Address
from notqmail.mail.entry import Entry, QueueFilter, QueueRow, Routed
from notqmail.mail.hop import Hop
from notqmail.mail.login import Attempt, Login, ScramAccount
from notqmail.mail.message import Content
from notqmail.mail.outcome import Outcome
from notqmail.mail.sending import Hold, SendingLimits

T = TypeVar("T")
R = TypeVar("R")


class Clock(Protocol):
    """Both clocks. `now` is wall-clock seconds since 1970 (for records, schedules), `monotonic` for spans."""

    def now(self) -> float: ...
    def monotonic(self) -> float: ...


class Random(Protocol):
    """The parts of random.Random that decisions use."""

    def random(self) -> float: ...
    def getrandbits(self, k: int, /) -> int: ...
    def shuffle(self, x: list[Any], /) -> None: ...


class DnsStatus(StrEnum):
    """How a look-up ended. TEMPFAIL is SERVFAIL, REFUSED or a timeout; it is an answer, not an exception."""

    OK = "ok"
    NXDOMAIN = "nxdomain"
    NODATA = "nodata"
    TEMPFAIL = "tempfail"


@dataclass(frozen=True, slots=True)
class MxRecord:
    preference: int
    exchange: str  # A-label, lower case, no trailing dot; "" is the null MX (RFC 7505)


@dataclass(frozen=True, slots=True)
class Answer(Generic[R]):
    """What DNS said. `records` is empty unless `status` is OK; `ttl` seconds; `secure` = AD from a trusted
    resolver."""

    status: DnsStatus
    records: tuple[R, ...] = ()
    ttl: int = 0
    secure: bool = False
    why: str = ""


class Resolver(Protocol):
    """DNS. Names go in and come out as A-labels without the trailing dot; no search list, no hosts file."""

    async def mx(self, name: str) -> Answer[MxRecord]: ...
    async def addresses(self, name: str, family: int = 0) -> Answer[str]:
        """A and AAAA together (IPv6 first as given); `family` 4 or 6 asks for one kind only."""
        ...

    async def txt(self, name: str) -> Answer[bytes]: ...
    async def ptr(self, address: str) -> Answer[str]: ...


class Draft(Protocol):
    """A message on its way into the store. End it with `commit` or `discard`; neither may be called twice.

    Octets are content as received, without our trace. Small content stays in memory until the commit;
    large content goes to a blob file, off the event loop.
    """

    @property
    def size(self) -> int: ...

    def write(self, chunk: bytes) -> Awaitable[None] | None:
        """Add octets. An awaitable result is back-pressure: write no more before it is done.
        Raises SpoolError, also from the awaitable."""

    def content(self) -> Content:
        """What has been written, readable before the commit (judgement reads it)."""
        ...

    async def commit(self, routed: Routed) -> Sequence[Entry]:
        """Make it durable; `routed.message.content` is this draft's content. The entries come back claimed, those
        of a held message not at all. Raises SpoolError, and nothing is kept then."""
        ...

    def discard(self) -> None:
        """Forget it; never raises."""


class Store(Protocol):
    """The durable queue. Every method raises SpoolError when the disk does not do as asked."""

    def draft(self) -> Draft: ...

    async def claim(
        self, now: float, limit: int, skip: Sequence[str] = (), skip_transport: str = ""
    ) -> Sequence[Entry]:
        """Take entries that are due, oldest due first, not held, not leased, destination not in `skip`, transport not
        `skip_transport`."""
        ...

    async def settle(
        self,
        entry: Entry,
        outcomes: Sequence[Outcome],
        next_due: float | None = None,
        children: Sequence[Routed] = (),
        delay_told: bool = False,
    ) -> Sequence[Entry]:
        """Record one attempt in one transaction: outcomes written, final recipients removed, the rest due at
        `next_due` and unleased, `children` (bounces, forwards) committed and returned claimed, as by `commit`. A message without
        recipients is gone, and its blob with it. Raises StaleTokenError, and records nothing then."""
        ...

    async def release(self, entries: Sequence[Entry], due: float | None = None) -> None:
        """Give claims back without an attempt."""
        ...

    async def find(self, which: QueueFilter, limit: int = 1000) -> Sequence[QueueRow]: ...

    async def open(self, id: str) -> Routed | None:
        """A queued message with all its pending recipients, to be shown; None when it is not there."""
        ...

    async def edit(
        self, which: QueueFilter, action: Literal["hold", "release", "retry", "delete"], now: float
    ) -> Sequence[QueueRow]:
        """Act on what matches and give what was acted on. What an attempt holds now is left alone, not `delete`d
        under it: it is in the result with state "active" and unchanged."""
        ...

    async def next_due(self, skip: Sequence[str] = (), skip_transport: str = "") -> float | None:
        """When the next unleased, unheld entry is due, what `claim` would skip left out; None when there is none."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """Recipients by state: active, due, deferred, held."""
        ...

    async def close(self) -> None: ...


class Transport(Protocol):
    """One attempt at one hop. Mail trouble is an Outcome; an exception is a bug."""

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        """One outcome per recipient of the entry, in order."""
        ...

    async def lane(self, hop: Hop) -> str:
        """The key under which concurrency is bounded: what really is one destination (an MX set)."""
        ...

    async def close(self) -> None: ...


class Directory(Protocol):
    """Who lives here. Synchronous and in memory; reads its files again when they change.

    Domains are A-labels; `local` is an Address.fold. Catch-alls are asked for with local "".
    """

    def is_local(self, domain: str) -> bool: ...
    def mailbox(self, local: str, domain: str) -> bool: ...
    def alias(self, local: str, domain: str) -> Sequence[Address]:
        """The targets of an alias, of a catch-all with local "", or () when there is none."""
        ...

    def senders(self, account: str) -> Collection[tuple[str, str]]:
        """What an account may send as beside its own addresses: (local, domain), local "" for all of a domain."""
        ...


class Sending(Protocol):
    """What accounts have sent, and which of them are held. Every method but `close` raises SpoolError."""

    on_hold: Callable[[], None] | None
    """Told, on the event loop, of a hold that the postmaster does not know of yet."""

    async def count(
        self, account: str, recipients: Sequence[Address], size: int, limits: SendingLimits
    ) -> Hold | None:
        """Count a message of `size` octets; give the hold that the account is under, with this message or before it.
        When that is `full` the message is not to be kept."""
        ...

    async def holds(self) -> Sequence[Hold]:
        """All accounts that are held."""
        ...

    async def told(self, account: str) -> None:
        """The postmaster knows of this hold."""
        ...

    async def release(self, account: str) -> bool:
        """Hold an account no longer, and begin its hour anew; False when it was not held."""
        ...

    async def close(self) -> None: ...


class Authenticator(Protocol):
    """A source of accounts. Every method but `close` raises AuthUnavailableError (454 4.7.0) when it cannot tell."""

    @property
    def mechanisms(self) -> frozenset[str]:
        """The SASL mechanisms it can serve, of those in config.auth.Mechanism."""

    async def password(self, user: str, password: str, attempt: Attempt) -> Login | None:
        """Give the login that this password proves, or None. A wrong user and a wrong password cost the same."""
        ...

    async def scram(self, mechanism: str, user: str, attempt: Attempt) -> ScramAccount | None:
        """Give what SCRAM needs of an account ("SCRAM-SHA-256" or "SCRAM-SHA-1", without -PLUS), None when there is
        none that may log in so."""
        ...

    async def certificate(self, names: Sequence[str], user: str, attempt: Attempt) -> Login | None:
        """Give the login that a verified client certificate proves: `names` are the addresses it is issued for,
        `user` the account that was asked for or ""."""
        ...

    async def used(self, login: Login, attempt: Attempt, at: float) -> None:
        """Note that a login was completed (the last use of an app password)."""
        ...

    async def close(self) -> None: ...


class Journal(Protocol):
    """The decision record. `write` never waits and never raises: under pressure records are dropped and counted."""

    def write(self, record: Mapping[str, Any]) -> None: ...
    async def find(self, ref: str, limit: int = 50) -> Sequence[Mapping[str, Any]]: ...
    async def close(self) -> None: ...


class Offload(Protocol):
    """Work that must not run on the event loop: CPU-bound or blocking on disk, in a bounded pool."""

    async def run(self, function: Callable[..., T], /, *args: Any) -> T: ...
