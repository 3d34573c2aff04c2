"""Recipients that lead nowhere."""

from notqmail.mail.address import Address
from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Envelope, Recipient
from notqmail.mail.hop import Hop
from notqmail.mail.message import Message, Octets
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply
from notqmail.queue.refused import RefusedTransport, refused_hop
from tests.support.clock import EPOCH, FakeClock

UNKNOWN = Reply(550, "5.1.1", "no such mailbox: here")


def test_hop_survives_the_store() -> None:
    hop = refused_hop(UNKNOWN)

    assert Hop.of(hop.destination) == hop


async def test_every_recipient_fails_with_the_reply_of_the_hop() -> None:
    to = (Recipient(Address("a", "example.org")), Recipient(Address("b", "example.org")))
    message = Message(Envelope(None, to), Octets(b""))
    transport = RefusedTransport(FakeClock())

    said = await transport.deliver(Entry("M", message, refused_hop(UNKNOWN), EPOCH, 1))

    assert said == [Outcome(each, Action.FAILED, UNKNOWN, "", EPOCH) for each in to]
    await transport.close()


async def test_each_reason_is_a_lane() -> None:
    hop = refused_hop(UNKNOWN)

    assert await RefusedTransport(FakeClock()).lane(hop) == hop.destination
