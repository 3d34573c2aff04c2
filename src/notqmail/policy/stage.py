"""What a stage is: any object with some of these hooks. Its fields are its configuration and its ports.

A hook may be a plain `def`; it may be `async def` when it must wait for a port (docs/adr/0002). There is no base
class: the pipeline asks each stage which hooks it has. Optional class attributes: `name`, and `needs` and
`gives`, tuples of evidence types, from which the order is checked at start.
"""

import re
from collections.abc import Awaitable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Final, Protocol

from notqmail.mail.envelope import Recipient
from notqmail.mail.hop import Hop
from notqmail.mail.message import Message
from notqmail.policy.transaction import Session, Transaction
from notqmail.policy.verdict import Verdict

GROUP: Final = "notqmail.stages"

PHASES: Final = (
    "on_connect",
    "on_helo",
    "on_mail",
    "on_rcpt",
    "on_body",
    "on_message",
    "on_queue",
    "on_relay",
)
"""In the order in which a message meets them."""

Judgement = Verdict | Awaitable[Verdict]
PerRecipient = Verdict | Mapping[Recipient, Verdict]


class BodySink(Protocol):
    """Sees the content as it arrives; decides nothing. What it finds it adds to the evidence in `finish`."""

    def feed(self, chunk: bytes) -> None: ...
    def finish(self) -> None: ...


class OnConnect(Protocol):
    def on_connect(self, session: Session) -> Judgement: ...


class OnHelo(Protocol):
    def on_helo(self, session: Session) -> Judgement: ...


class OnMail(Protocol):
    def on_mail(self, txn: Transaction) -> Judgement: ...


class OnRcpt(Protocol):
    def on_rcpt(self, txn: Transaction, recipient: Recipient) -> Judgement: ...


class OnBody(Protocol):
    def on_body(self, txn: Transaction) -> BodySink | None: ...


class OnMessage(Protocol):
    def on_message(
        self, txn: Transaction, message: Message
    ) -> PerRecipient | Awaitable[PerRecipient]:
        """Judge the whole message, after the final dot and before we own it."""
        ...


class OnQueue(Protocol):
    def on_queue(self, txn: Transaction, message: Message) -> Message | Awaitable[Message]:
        """Edit the header once, before the message is durable: trace, results, signatures."""
        ...


class OnRelay(Protocol):
    def on_relay(
        self, message: Message, hop: Hop
    ) -> Sequence[Message] | Awaitable[Sequence[Message]]:
        """What departs for `hop`: one message per distinct sender. What is stored never changes."""
        ...


Stage = OnConnect | OnHelo | OnMail | OnRcpt | OnBody | OnMessage | OnQueue | OnRelay


def stage_name(stage: object) -> str:
    """Give the stage's `name`, else its class's in snake case."""
    name = getattr(stage, "name", None)
    if isinstance(name, str):
        return name
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(stage).__name__).lower()


def load_stages() -> Mapping[str, type]:
    """Find all installed stages, ours and others', by the name of their entry point."""
    return {point.name: point.load() for point in entry_points(group=GROUP)}
