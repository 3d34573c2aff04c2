"""What all sessions of one listener share: their limits, and the ports they reach the world through."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from notqmail.config import Limits
from notqmail.mail.message import Message
from notqmail.mail.network import Networks
from notqmail.mail.reply import Reply
from notqmail.policy.pipeline import Pipeline
from notqmail.policy.settle import Disagreement
from notqmail.policy.transaction import Session, Transaction
from notqmail.ports import Clock, Draft, Journal, Store
from notqmail.smtp.xclient import ATTRIBUTES
from notqmail.smtpd.channel import ServerTls
from notqmail.smtpd.login import Logins


class Accept(Protocol):
    """The one door into the queue (queue/intake)."""

    async def accept(self, draft: Draft, message: Message, txn: Transaction) -> str:
        """Make the message durable and give its queue id; raise SpoolError, and nothing is kept."""


class Counts(Protocol):
    """Observers of a session; they cannot decide."""

    def connected(self, listener: str) -> None: ...
    def refused(self, reason: str) -> None: ...
    def accepted(self, listener: str) -> None: ...
    def secured(self, listener: str, result: str) -> None:
        """A handshake has ended: with a protocol version, or "failed"."""

    def logged_in(self, listener: str, result: str) -> None:
        """An AUTH exchange has ended: "ok", or why not."""


NOWHERE = Networks(())
# who has logged in may not do so again, and may still say AUTH= on MAIL (RFC 4954 §5)
_SILENT_AUTH = " AUTH"


@dataclass(frozen=True, slots=True)
class Offer:
    """Our reply to EHLO, and the keywords in it."""

    reply: Reply
    keywords: frozenset[str]


@dataclass(frozen=True, slots=True)
class Doors:
    """What lies between the wire and the dialogue of one listener. `tls` None: there is none; `implicit`: it begins
    before the banner. `handshakes` at once, each within `handshake_timeout` seconds. Clients in the networks of `proxy`
    begin with a PROXY header, within `proxy_timeout` seconds; those in the networks of `xclient` may say XCLIENT."""

    tls: ServerTls | None = None
    implicit: bool = False
    handshakes: int = 200
    handshake_timeout: float = 30.0
    proxy: Networks = NOWHERE
    proxy_timeout: float = 10.0
    xclient: Networks = NOWHERE


@dataclass(frozen=True, slots=True)
class Service:
    """One listener's service. `new_id` makes queue ids, `new_ref` the reference of a refusal; `logins` None: nobody
    logs in here; `met` is told the address of each client."""

    listener: str
    kind: str
    hostname: str
    limits: Limits
    repair_bare_lf: bool
    greet_delay: float
    disagreement: Disagreement
    pipeline: Pipeline
    store: Store
    intake: Accept
    journal: Journal
    clock: Clock
    counts: Counts
    new_id: Callable[[], str]
    new_ref: Callable[[], str]
    doors: Doors = Doors()
    logins: Logins | None = None
    met: Callable[[str], None] = lambda address: None
    banner: Reply = field(init=False)
    helo: Reply = field(init=False)
    _offers: dict[tuple[str, ...], Offer] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "banner", Reply(220, "", f"{self.hostname} ESMTP notqmail"))
        object.__setattr__(self, "helo", Reply(250, "", self.hostname))

    def offer(
        self, session: Session, mechanisms: Sequence[str] = (), *, xclient: bool = False
    ) -> Offer:
        """Say what is offered to a session as it is now. `mechanisms` are those it could log in by; `xclient` when it
        may say who its client is."""
        more = []
        if session.login is not None:
            more.append(_SILENT_AUTH)
        elif session.tls is not None and mechanisms:
            more.append(f"AUTH {' '.join(mechanisms)}")
        if session.tls is None and self.doors.tls is not None:
            more.append("STARTTLS")
        if xclient:
            more.append(f"XCLIENT {ATTRIBUTES}")
        key = tuple(more)
        offer = self._offers.get(key)
        if offer is None:
            offer = self._offers[key] = self._make_offer(key)
        return offer

    def _make_offer(self, more: Sequence[str]) -> Offer:
        limits = self.limits
        lines = (
            "PIPELINING",
            f"SIZE {int(limits.message)}",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "CHUNKING",
            "DSN",
            f"LIMITS MAILMAX={limits.messages} RCPTMAX={limits.recipients}",
            *more,
        )
        keywords = frozenset(line.split()[0] for line in lines)
        told = (line for line in lines if line != _SILENT_AUTH)
        return Offer(Reply(250, "", "\n".join((self.hostname, *told))), keywords)

    def counted_login(self, result: str) -> None:
        """Tell the observers how an AUTH exchange ended."""
        self.counts.logged_in(self.listener, result)
