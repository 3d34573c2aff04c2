"""How much trying a client has left: refusals, deferrals, commands that move no mail."""

from notqmail.config import Limits
from notqmail.mail.reply import Reply
from notqmail.smtpd import replies


class Patience:
    """Counts within one session; every accepted message renews it."""

    __slots__ = ("_deferrals", "_errors", "_idle", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._errors = self._deferrals = self._idle = 0

    def ends_with(self, reply: Reply) -> bool:
        """Count a reply; True when the client has had enough of them."""
        if reply.code >= 500:
            self._errors += 1
        elif reply.code >= 400:
            self._deferrals += 1
        # who sends more recipients than fit has that many put off without being at fault (RFC 5321 §4.5.3.1.10)
        limits = self._limits
        return self._errors >= limits.errors or self._deferrals > limits.recipients

    def idly(self, reply: Reply) -> Reply:
        """Count a command that moves no mail and give its reply, or the one that ends the session."""
        self._idle += 1
        return replies.TOO_MANY_COMMANDS if self._idle > self._limits.commands else reply

    def renew(self) -> None:
        """A message was accepted: begin anew."""
        self._errors = self._deferrals = self._idle = 0
