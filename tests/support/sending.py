"""What accounts have sent, in memory."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from notqmail.mail.address import Address
from notqmail.mail.errors import SpoolError
from notqmail.mail.sending import Hold, SendingLimits, Sent, charge, excess
from tests.support.clock import FakeClock


class MemorySending:
    """ports.Sending that never forgets an hour. `fault` is raised instead of an answer."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.sent: dict[str, Sent] = {}
        self.held: dict[str, Hold] = {}
        self.fault: SpoolError | None = None
        self.on_hold: Callable[[], None] | None = None

    async def count(
        self, account: str, recipients: Sequence[Address], size: int, limits: SendingLimits
    ) -> Hold | None:
        self._fail()
        if account not in self.held:
            before = self.sent.get(account, Sent())
            now = Sent(before.messages + 1, before.recipients + len(recipients))
            self.sent[account] = now
            if not (reason := excess(now, limits)):
                return None
            self.held[account] = Hold(account, self.clock.now(), reason)
        hold = self.held[account]
        hold = replace(hold, kept=hold.kept + charge(size))
        if hold.full(limits):
            return hold
        self.held[account] = hold
        if not self.held[account].told and self.on_hold is not None:
            self.on_hold()
        return self.held[account]

    async def holds(self) -> Sequence[Hold]:
        self._fail()
        return list(self.held.values())

    async def told(self, account: str) -> None:
        self._fail()
        if hold := self.held.get(account):
            self.held[account] = replace(hold, told=True)

    async def release(self, account: str) -> bool:
        self._fail()
        self.sent.pop(account, None)
        return self.held.pop(account, None) is not None

    async def close(self) -> None:
        """Nothing is open."""

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault
