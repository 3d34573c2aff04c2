"""What became of one recipient at one attempt: the fields a delivery report needs (RFC 3464 §2.3)."""

from dataclasses import dataclass
from enum import StrEnum

from notqmail.mail.envelope import Recipient
from notqmail.mail.protection import Protection
from notqmail.mail.reply import Reply


class Action(StrEnum):
    """Action of RFC 3464 §2.3.3. `delayed` means: keep it and try again."""

    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"
    DELAYED = "delayed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One recipient, one attempt. `reply` is the peer's word, or ours in the same form when no peer spoke
    (`remote_mta` "" then); `at` is wall-clock seconds; `dsn_passed` when the next hop took over the duty
    to report success (it offered DSN, RFC 3461 §5.2.2); `tls` how the session was protected that gave the reply, or
    that was not good enough."""

    recipient: Recipient
    action: Action
    reply: Reply
    remote_mta: str = ""
    at: float = 0.0
    dsn_passed: bool = False
    tls: Protection | None = None

    @property
    def final(self) -> bool:
        """True when this recipient is finished with, well or badly."""
        return self.action is not Action.DELAYED
