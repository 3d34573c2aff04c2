"""No mail of our own people in clear (RFC 3207 §4, RFC 8314 §3.3)."""

from dataclasses import dataclass
from typing import Final

from notqmail.mail.envelope import Recipient
from notqmail.mail.reply import Reply
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT, Reject, Verdict

STARTTLS_FIRST: Final = Reply(530, "5.7.0", "Must issue a STARTTLS command first")
_REFUSED: Final = Reject(STARTTLS_FIRST, "no TLS")


@dataclass(frozen=True, slots=True)
class RequireTls:
    """The session answers so at once; this stage is there should it forget. It asks at RCPT too, because what is
    held from MAIL may spare some recipients, and this spares none."""

    def on_mail(self, txn: Transaction) -> Verdict:
        return ACCEPT if txn.session.tls is not None else _REFUSED

    def on_rcpt(self, txn: Transaction, recipient: Recipient) -> Verdict:
        return self.on_mail(txn)
