"""What all sessions of one listener share: their limits, and the ports they reach the world through."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from notqmail.config import Limits
from notqmail.mail.message import Message
from notqmail.mail.reply import Reply
from notqmail.policy.pipeline import Pipeline
from notqmail.policy.settle import Disagreement
from notqmail.policy.transaction import Transaction
from notqmail.ports import Clock, Draft, Journal, Store


class Accept(Protocol):
    """The one door into the queue (queue/intake)."""

    async def accept(self, draft: Draft, message: Message, txn: Transaction) -> str:
        """Make the message durable and give its queue id; raise SpoolError, and nothing is kept."""


class Counts(Protocol):
    """Observers of a session; they cannot decide."""

    def connected(self, listener: str) -> None: ...
    def refused(self, reason: str) -> None: ...
    def accepted(self, listener: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Service:
    """One listener's service. `new_id` makes queue ids, `new_ref` the reference of a refusal."""

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
    offered: frozenset[str] = field(init=False)
    banner: Reply = field(init=False)
    helo: Reply = field(init=False)
    ehlo: Reply = field(init=False)

    def __post_init__(self) -> None:
        limits = self.limits
        keywords: Mapping[str, str] = {
            "PIPELINING": "",
            "SIZE": str(int(limits.message)),
            "8BITMIME": "",
            "SMTPUTF8": "",
            "ENHANCEDSTATUSCODES": "",
            "CHUNKING": "",
            "DSN": "",
            "LIMITS": f"MAILMAX={limits.messages} RCPTMAX={limits.recipients}",
        }
        lines = (self.hostname, *(f"{word} {value}".rstrip() for word, value in keywords.items()))
        object.__setattr__(self, "offered", frozenset(keywords))
        object.__setattr__(self, "banner", Reply(220, "", f"{self.hostname} ESMTP notqmail"))
        object.__setattr__(self, "helo", Reply(250, "", self.hostname))
        object.__setattr__(self, "ehlo", Reply(250, "", "\n".join(lines)))
