"""A queue entry: the recipients of one message for one destination, held under a lease."""

from dataclasses import dataclass

from notqmail.mail.envelope import Recipient
from notqmail.mail.hop import Hop
from notqmail.mail.message import Message


@dataclass(frozen=True, slots=True)
class Routed:
    """A message and where each of its recipients goes: `hops[i]` is for `message.envelope.recipients[i]`.

    `id` is the queue id it will have; `born` wall-clock seconds. `login` is the account that sent it, "" for none;
    `held`: it is to be kept and not delivered until somebody releases it.
    """

    id: str
    message: Message
    hops: tuple[Hop, ...]
    born: float
    login: str = ""
    held: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One claim. `message.envelope.recipients` are only those of this destination, still pending.

    `token` fences: a result under an older token is refused. `attempts` counts earlier attempts;
    `recovered` when one of them began and its end was never recorded, so it may have delivered.
    `delay_told` when the sender has had a delay notice for these recipients.
    """

    id: str
    message: Message
    hop: Hop
    born: float
    token: int
    attempts: int = 0
    recovered: bool = False
    delay_told: bool = False

    @property
    def recipients(self) -> tuple[Recipient, ...]:
        return self.message.envelope.recipients


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which entries: every field that is set must match. Addresses match whole or, as "@domain", by domain."""

    id: str = ""
    sender: str | None = None  # "" is the null sender
    recipient: str = ""
    domain: str = ""
    older: float = 0.0  # seconds of age at least
    held: bool | None = None
    login: str = ""  # the account that sent it, as Login.key has it


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One recipient as `queue list` shows it. `state`: active | due | deferred | held."""

    id: str
    sender: str
    recipient: str
    destination: str
    size: int
    born: float
    due: float
    attempts: int
    state: str
    last_reply: str
