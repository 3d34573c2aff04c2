"""The transport for recipients that lead nowhere: each attempt fails with the reply its hop carries.

A recipient may be found undeliverable only when it is routed: the sender of a message that bounces is gone, an alias
was broken after RCPT. It still enters the queue, so that what follows (a bounce, a double bounce) is what follows
every other failure.
"""

from collections.abc import Sequence

from notqmail.mail.entry import Entry
from notqmail.mail.hop import Hop
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply
from notqmail.ports import Clock

TRANSPORT = "refused"


def refused_hop(reply: Reply) -> Hop:
    """Give the hop at which every recipient fails with `reply`."""
    return Hop(TRANSPORT, str(reply))


class RefusedTransport:
    """ports.Transport for `refused_hop`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        code, _, text = entry.hop.nexthop.partition(" ")
        reply = Reply.received(int(code), text)
        at = self._clock.now()
        return [Outcome(recipient, Action.FAILED, reply, "", at) for recipient in entry.recipients]

    async def lane(self, hop: Hop) -> str:
        return hop.destination

    async def close(self) -> None:
        """Nothing is open."""
