"""What an account sends within an hour, and when that is so much that its mail is held.

A stolen password is used to send to as many as it can, an honest one now and then to many more than usual. So what is over
a limit is kept, not refused and not sent: a person decides.
"""

from dataclasses import dataclass
from typing import Final

LEAST: Final = 4096  # octets that the smallest message takes of a disk


@dataclass(frozen=True, slots=True)
class SendingLimits:
    """What an account may send within an hour; 0 is no limit. `new_recipients` are those it has not written to
    before, of whom `known` are remembered. `kept` is how many octets are taken of it while it is held."""

    messages: int = 0
    recipients: int = 0
    new_recipients: int = 0
    known: int = 10_000
    kept: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Sent:
    """What an account has sent within the last hour."""

    messages: int = 0
    recipients: int = 0
    new_recipients: int = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """An account whose mail is held: since when (wall-clock seconds), why, whether the postmaster knows, and how many
    octets of it are kept, by `charge`."""

    account: str
    since: float
    reason: str
    told: bool = False
    kept: int = 0

    def full(self, limits: SendingLimits) -> bool:
        """Say whether no more of it is to be kept: whoever has the password must not fill the disk."""
        return self.kept > limits.kept


def charge(size: int) -> int:
    """Give what a message of `size` octets takes of a disk, about."""
    return max(size, LEAST)


def excess(sent: Sent, limits: SendingLimits) -> str:
    """Say what is over a limit, and which key has it; "" when nothing is."""
    for count, limit, what in (
        (sent.messages, limits.messages, "messages"),
        (sent.recipients, limits.recipients, "recipients"),
        (sent.new_recipients, limits.new_recipients, "new_recipients"),
    ):
        if 0 < limit < count:
            return f"{count} {what.replace('_', ' ')} within an hour, submission.{what}_per_hour is {limit}"
    return ""
