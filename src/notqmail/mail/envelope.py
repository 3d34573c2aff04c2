"""The envelope: who sent it, who shall have it, and what the sender wants to be told (RFC 5321, RFC 3461)."""

from dataclasses import dataclass
from enum import Flag, StrEnum, auto

from notqmail.mail.address import Address


class Notify(Flag):
    """NOTIFY of RFC 3461 §4.1. NEVER is the empty set; absent is None on the recipient (= FAILURE, DELAY)."""

    NEVER = 0
    SUCCESS = auto()
    FAILURE = auto()
    DELAY = auto()


class Ret(StrEnum):
    """RET of RFC 3461 §4.3: how much of the message a failure report returns."""

    FULL = "FULL"
    HDRS = "HDRS"


class Body(StrEnum):
    """BODY of RFC 6152 §3 and RFC 3030 §3."""

    SEVENBIT = "7BIT"
    EIGHTBIT = "8BITMIME"
    BINARY = "BINARYMIME"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient. `orcpt` is ORCPT decoded from xtext: `type;address` (RFC 3461 §4.2)."""

    address: Address
    notify: Notify | None = None
    orcpt: str | None = None

    def wants(self, event: Notify) -> bool:
        """Say whether the sender asked to hear of `event`; unasked, failures and delays are told."""
        if self.notify is None:
            return event in (Notify.FAILURE | Notify.DELAY)
        return event in self.notify


@dataclass(frozen=True, slots=True)
class Envelope:
    """What MAIL and RCPT said. `sender` None is the null reverse-path; `envid` is decoded from xtext."""

    sender: Address | None
    recipients: tuple[Recipient, ...]
    envid: str | None = None
    ret: Ret | None = None
    smtputf8: bool = False
    requiretls: bool = False
    body: Body | None = None
