"""Who sends by submission has logged in (RFC 6409 §4.3, RFC 4954 §6)."""

from dataclasses import dataclass
from typing import Final

from notqmail.mail.envelope import Recipient
from notqmail.mail.reply import Reply
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT, Reject, Verdict

AUTH_FIRST: Final = Reply(530, "5.7.0", "authentication required")
_REFUSED: Final = Reject(AUTH_FIRST, "no login")


@dataclass(frozen=True, slots=True)
class RequireAuth:
    """The session answers so at once; this stage is there should it forget. It asks at RCPT too, because what is
    held from MAIL may spare some recipients, and this spares none."""

    def on_mail(self, txn: Transaction) -> Verdict:
        return ACCEPT if txn.session.login is not None else _REFUSED

    def on_rcpt(self, txn: Transaction, recipient: Recipient) -> Verdict:
        return self.on_mail(txn)
