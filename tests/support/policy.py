"""Sessions, transactions and stages as a test wants them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from notqmail.mail.address import Address
from notqmail.mail.envelope import Recipient
from notqmail.mail.message import Message, Octets
from notqmail.mail.reply import Reply
from notqmail.policy.pipeline import Pipeline
from notqmail.policy.relay_guard import RelayGuard
from notqmail.policy.transaction import Peer, Session, Tls, Transaction
from notqmail.policy.verdict import ACCEPT, Defer, Reject
from tests.support.clock import FakeClock

LOCAL = "example.org"
ALICE = Recipient(Address("alice", LOCAL))
CAROL = Recipient(Address("carol", LOCAL))
POSTMASTER = Recipient(Address("Postmaster", LOCAL))
STRANGER = Recipient(Address("dave", "example.net"))

NO = Reject(Reply(550, "5.7.1", "no"), "no")
LATER = Defer(Reply(450, "4.7.1", "later"), "later")
PEER = Peer("192.0.2.1", 40000, "192.0.2.25", 25, "client.example.net")


def is_local(domain: str) -> bool:
    return domain == LOCAL


TLS = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", "mx.example.org")


def session(**facts: Any) -> Session:
    return Session("S1", "mx", "mx", **{"peer": PEER, "helo": "client.example.net", **facts})


def transaction(*recipients: Recipient, within: Session | None = None, **facts: Any) -> Transaction:
    txn = Transaction("1QUEUEID", within or session(), Address("bob", "example.net"), 0.0, **facts)
    txn.recipients.extend(recipients)
    return txn


def message(txn: Transaction, content: bytes = b"Subject: hi\r\n\r\nhi\r\n") -> Message:
    return Message(txn.envelope, Octets(content))


def pipeline(*stages: object, **options: Any) -> Pipeline:
    return Pipeline(stages, options.pop("clock", FakeClock()), RelayGuard(is_local), **options)


@dataclass
class Says:
    """What `says` makes: a stage with one hook, and the phases it was asked in."""

    name: str
    asked: list[str] = field(default_factory=list)


def says(phase: str, verdict: object = ACCEPT, name: str = "says") -> Says:
    """A stage with one hook, `on_{phase}`, that returns `verdict`; or, when that is callable, what it returns."""

    def hook(self: Says, *args: object) -> object:
        self.asked.append(phase)
        return verdict(*args) if callable(verdict) else verdict

    stage: Says = type("Says", (Says,), {f"on_{phase}": hook})(name=name)
    return stage


def later(
    result: object, wait: Callable[[], Awaitable[object]]
) -> Callable[..., Awaitable[object]]:
    """What an `async def` hook does: awaits, then answers."""

    async def hook(*_: object) -> object:
        await wait()
        return result

    return hook


async def settled(value: Any) -> Any:
    """The value, whether it is there or must be awaited."""
    return await value if isinstance(value, Awaitable) else value


def phases(decisions: Sequence[Any]) -> list[tuple[str, str, str]]:
    return [(d.stage, d.phase, d.word) for d in decisions]
