"""How much an account may send within an hour: what is over it is taken, and held.

The last judge of a submitted message, so that only what is accepted counts. Evidence of a hold makes the intake keep the
message (queue/intake); queue/account_holds tells the postmaster.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from notqmail.mail.errors import SpoolError
from notqmail.mail.message import Message
from notqmail.mail.reply import Reply
from notqmail.mail.sending import Hold, SendingLimits
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT, Accept, Defer, Verdict
from notqmail.ports import Sending
from notqmail.smtp.content import spool_reply

HELD_FULL: Final = Reply(
    452, "4.7.0", "too much mail of this account is held already; ask the postmaster to release it"
)


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """`sending` counts, and knows who is held."""

    sending: Sending
    limits: SendingLimits

    gives: ClassVar[tuple[type, ...]] = (Hold,)

    async def on_message(self, txn: Transaction, message: Message) -> Verdict:
        login = txn.session.login
        if login is None:
            return ACCEPT
        recipients = [recipient.address for recipient in txn.recipients]
        try:
            hold = await self.sending.count(
                login.key, recipients, message.content.size, self.limits
            )
        except SpoolError as error:  # what cannot be counted is not let through
            return Defer(spool_reply(error), "store")
        if hold is None:
            return ACCEPT
        if hold.full(self.limits):
            return Defer(HELD_FULL, "account held", {"account": hold.account, "kept": hold.kept})
        txn.evidence.add(hold)
        return Accept("account held", {"account": hold.account, "reason": hold.reason})
