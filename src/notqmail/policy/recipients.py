"""Recipient validation at RCPT: who does not live here is refused before the message is sent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from notqmail.mail.address import Address
from notqmail.mail.envelope import Recipient
from notqmail.mail.reply import Reply
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT, Defer, Reject, Verdict

UNKNOWN: Final = Reply(550, "5.1.1", "no such mailbox here")


class Resolved(Protocol):
    """Where an address leads, as far as a judge must know: somewhere, or to a refusal."""

    @property
    def accepts(self) -> bool: ...
    @property
    def reply(self) -> Reply | None: ...


@dataclass(frozen=True, slots=True)
class Recipients:
    """`judge` is the code that will route the message, so that what is accepted can be delivered."""

    judge: Callable[[Address], Resolved]

    def on_rcpt(self, txn: Transaction, recipient: Recipient) -> Verdict:
        resolved = self.judge(recipient.address)
        if resolved.accepts:
            return ACCEPT
        reply = resolved.reply or UNKNOWN
        return Defer(reply, "recipient") if reply.transient else Reject(reply, "recipient")
