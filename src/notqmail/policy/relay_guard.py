"""The relay guard: a stranger may write to our domains and to nobody else."""

from collections.abc import Callable
from dataclasses import dataclass

from notqmail.mail.envelope import Recipient
from notqmail.mail.reply import Reply
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT, Reject, Verdict

DENIED = Reject(Reply(550, "5.7.1", "relaying denied"), "relaying denied")


@dataclass(frozen=True, slots=True)
class RelayGuard:
    """Part of every pipeline: `Pipeline` cannot be made without it. `is_local` is asked for a domain as
    `Address.domain` holds it, an A-label or an address literal; the domain-less postmaster is ours
    (RFC 5321 §4.1.1.3)."""

    is_local: Callable[[str], bool]

    def on_rcpt(self, txn: Transaction, recipient: Recipient) -> Verdict:
        domain = recipient.address.domain
        if not domain or self.is_local(domain) or txn.session.trusted:
            return ACCEPT
        return DENIED
