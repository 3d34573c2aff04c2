"""The one door into the queue."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from notqmail.mail.address import Address
from notqmail.mail.entry import Entry, QueueFilter, Routed
from notqmail.mail.envelope import Envelope, Recipient
from notqmail.mail.errors import SpoolError
from notqmail.mail.header import header_end
from notqmail.mail.hop import Hop
from notqmail.mail.login import Login
from notqmail.mail.message import Content, HeaderEdit, Mark, Message, Octets
from notqmail.mail.reply import Reply
from notqmail.mail.sending import Hold
from notqmail.policy.header_text import HeaderText
from notqmail.policy.transaction import Peer, Session, Transaction
from notqmail.queue.intake import TURN, Intake, OnQueue, unedited
from notqmail.queue.refused import refused_hop
from notqmail.store.memory import MemoryDraft, MemoryStore
from tests.support.clock import EPOCH, FakeClock, settle_down
from tests.support.queue_world import MemoryJournal

SENDER = Address("alice", "example.org")
BOB, CAROL = (Recipient(Address(name, "example.net")) for name in ("bob", "carol"))
LIST = Recipient(Address("list", "example.org"))
EDIT = HeaderEdit("prepend", b"X-Trace: 1\r\n")


class Routes:
    """`list` is bob and carol; everybody else is remote."""

    def route(
        self, recipient: Recipient, sender: Address | None
    ) -> Sequence[tuple[Recipient, Hop]]:
        if recipient == LIST:
            return [(each, Hop("smtp", "example.net")) for each in (BOB, CAROL)]
        return [(recipient, Hop("smtp", recipient.address.domain))]


def transaction() -> Transaction:
    session = Session("S", "mx", "mx", Peer("192.0.2.1", 1, "192.0.2.2", 25), esmtp=True)
    return Transaction("TXNID", session, SENDER, EPOCH, recipients=[BOB])


def message(*recipients: Recipient, content: Content | None = None) -> Message:
    return Message(Envelope(SENDER, recipients or (BOB,)), content or Octets(b""))


class Door:
    """An intake, and what came through it."""

    def __init__(self, on_queue: OnQueue = unedited) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.journal = MemoryJournal()
        self.entries: list[Entry] = []
        self.intake = Intake(
            Routes(),
            self.clock,
            random.Random(1),
            on_queue=on_queue,
            on_entries=self.entries.extend,
            journal=self.journal,
        )

    def draft(self, content: bytes = b"Subject: x\r\n\r\n") -> MemoryDraft:
        draft = self.store.draft()
        draft.write(content)
        return draft


# -- prepare ----------------------------------------------------------------------------------------------------


async def test_message_of_a_transaction_has_its_id() -> None:
    assert (await Door().intake.prepare(message(), transaction())).id == "TXNID"


async def test_message_of_our_own_has_the_id_given_or_a_new_one() -> None:
    intake = Door().intake

    assert (await intake.prepare(message(), None, "OWN")).id == "OWN"
    assert len((await intake.prepare(message(), None)).id) == 14


async def test_message_is_edited_before_it_is_routed() -> None:
    def edit(txn: Transaction | None, before: Message, id: str) -> Message:
        return Message(before.envelope, before.content, (EDIT,))

    assert (await Door(edit).intake.prepare(message(), None)).message.edits == (EDIT,)


async def test_policy_may_take_its_time() -> None:
    async def edit(txn: Transaction | None, before: Message, id: str) -> Message:
        await asyncio.sleep(0)
        return Message(before.envelope, before.content, (EDIT,))

    assert (await Door(edit).intake.prepare(message(), None)).message.edits == (EDIT,)


async def test_message_whose_recipients_stay_the_same_is_not_copied() -> None:
    asked = message(BOB, CAROL)

    routed = await Door().intake.prepare(asked, None)

    assert routed.message is asked
    assert routed.hops == (Hop("smtp", "example.net"), Hop("smtp", "example.net"))
    assert routed.born == EPOCH


async def test_way_of_a_recipient_is_asked_for_with_the_sender() -> None:
    asked: list[tuple[Recipient, Address | None]] = []

    class Noting(Routes):
        def route(
            self, recipient: Recipient, sender: Address | None
        ) -> Sequence[tuple[Recipient, Hop]]:
            asked.append((recipient, sender))
            return super().route(recipient, sender)

    await Intake(Noting(), FakeClock(), random.Random(1)).prepare(message(BOB), None)

    assert asked == [(BOB, SENDER)]


async def test_expanded_recipients_replace_the_alias() -> None:
    routed = await Door().intake.prepare(message(LIST), None)

    assert routed.message.envelope.recipients == (BOB, CAROL)


async def test_recipient_that_two_ways_lead_to_is_there_once() -> None:
    routed = await Door().intake.prepare(message(CAROL, LIST, BOB), None)

    assert routed.message.envelope.recipients == (CAROL, BOB)
    assert len(routed.hops) == 2


@pytest.mark.parametrize(("transport", "deliveries"), [("local", 1), ("smtp", 2)])
async def test_two_spellings_are_one_recipient_where_they_are_one_mailbox(
    transport: str, deliveries: int
) -> None:
    class Mailbox:
        def route(
            self, recipient: Recipient, sender: Address | None
        ) -> Sequence[tuple[Recipient, Hop]]:
            return [(recipient, Hop(transport, "bob@example.net"))]

    intake = Intake(Mailbox(), FakeClock(), random.Random(1))
    bob = Recipient(Address("BOB", "example.net"))

    routed = await intake.prepare(message(BOB, bob), None)

    assert len(routed.message.envelope.recipients) == len(routed.hops) == deliveries


async def test_many_large_aliases_keep_nobody_waiting() -> None:
    clock, turns = FakeClock(), 0

    class Large:
        def route(
            self, recipient: Recipient, sender: Address | None
        ) -> Sequence[tuple[Recipient, Hop]]:
            clock.advance(TURN)
            return [(recipient, Hop("smtp", "example.net"))]

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(somebody_else())
    everybody = [Recipient(Address(f"u{n}", "example.net")) for n in range(10)]

    routed = await Intake(Large(), clock, random.Random(1)).prepare(message(*everybody), None)

    other.cancel()
    assert len(routed.hops) == 10
    assert turns >= 9


async def test_mark_on_an_alias_holds_for_all_its_targets() -> None:
    junk = Mark("Junk")
    asked = Message(Envelope(SENDER, (LIST,)), Octets(b""), marks={LIST: junk})

    routed = await Door().intake.prepare(asked, None)

    assert routed.message.marks == {BOB: junk, CAROL: junk}


# -- accept -----------------------------------------------------------------------------------------------------


async def test_accepted_message_is_in_the_store_and_its_entries_are_handed_on() -> None:
    door = Door()

    id = await door.intake.accept(door.draft(), message(), transaction())

    assert id == "TXNID"
    assert [entry.id for entry in door.entries] == ["TXNID"]
    assert await door.store.open("TXNID") is not None


async def test_accepted_message_is_journalled_with_its_message_id() -> None:
    door = Door()
    content = b"Subject: x\r\nMessage-Id:\r\n <one@example.org> \r\n\r\nMessage-ID: <body@x>\r\n"
    draft, txn = door.draft(content), transaction()
    txn.evidence.add(HeaderText(content[: header_end(content)]))

    await door.intake.accept(draft, message(content=draft.content()), txn)

    [record] = door.journal.records
    assert record["result"] == "accepted"
    assert record["reply"] == "250 2.0.0 queued as TXNID"
    assert record["message_id"] == "<one@example.org>"
    assert record["size"] == len(content)


async def test_dropped_recipient_goes_where_a_report_comes_from() -> None:
    door, txn = Door(), transaction()
    refused = Reply(550, "5.7.1", "not for me")
    txn.dropped[CAROL] = refused

    routed = await door.intake.prepare(message(BOB, CAROL), txn)

    assert routed.message.envelope.recipients == (BOB, CAROL)
    assert routed.hops == (Hop("smtp", "example.net"), refused_hop(refused))


async def test_message_of_our_own_is_not_journalled_here() -> None:
    door = Door()

    await door.intake.accept(door.draft(), message(), None)

    assert door.journal.records == []


async def test_time_each_commit_takes_is_observed() -> None:
    door, seen = Door(), []
    door.clock.advance(1000)
    intake = Intake(Routes(), door.clock, random.Random(1), committed=seen.append)

    await intake.accept(door.draft(), message(), None)

    assert seen == [0.0]


async def test_spool_error_reaches_the_caller_and_nothing_is_kept() -> None:
    door = Door()
    await door.store.close()

    with pytest.raises(SpoolError):
        await door.intake.accept(door.draft(), message(), transaction())

    assert door.entries == []
    assert door.journal.records == []


async def test_draft_is_discarded_when_policy_fails() -> None:
    def fail(txn: Transaction | None, before: Message, id: str) -> Message:
        raise SpoolError("stage failed")

    door = Door(fail)
    draft = door.draft()

    with pytest.raises(SpoolError):
        await door.intake.accept(draft, message(), transaction())

    with pytest.raises(RuntimeError):
        draft.discard()  # it was already


class SlowDraft(MemoryDraft):
    """A draft whose commit waits for the disk."""

    disk: asyncio.Event

    async def commit(self, routed: Routed) -> Sequence[Entry]:
        await self.disk.wait()
        return await super().commit(routed)


async def test_client_that_hangs_up_during_the_commit_does_not_undo_it() -> None:
    door = Door()
    draft = SlowDraft(door.store)
    draft.disk = asyncio.Event()
    caller = asyncio.create_task(door.intake.accept(draft, message(), transaction()))
    await settle_down()

    caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled()
    assert door.entries == []
    draft.disk.set()
    await door.intake.wait_accepted()

    assert [entry.id for entry in door.entries] == ["TXNID"]


async def test_failure_nobody_waits_for_any_more_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    door = Door()
    draft = SlowDraft(door.store)
    draft.disk = asyncio.Event()
    caller = asyncio.create_task(door.intake.accept(draft, message(), transaction()))
    await settle_down()

    caller.cancel()
    await door.store.close()
    draft.disk.set()
    await door.intake.wait_accepted()

    assert caplog.messages == ["message not kept error='the queue is closed'"]


async def test_nothing_on_its_way_in_is_nothing_to_wait_for() -> None:
    await Door().intake.wait_accepted()


# -- what is handed on --------------------------------------------------------------------------------------------


async def test_policy_is_given_transaction_message_and_id() -> None:
    seen: list[object] = []

    def edit(txn: Transaction | None, before: Message, id: str) -> Message:
        seen.append((txn, before, id))
        return before

    door, txn, asked = Door(edit), transaction(), message()

    await door.intake.prepare(asked, txn)
    await door.intake.prepare(asked, None, "OWN")

    assert seen == [(txn, asked, "TXNID"), (None, asked, "OWN")]


def test_a_message_routed_as_it_is_goes_where_an_edited_one_would() -> None:
    def edit(txn: Transaction | None, before: Message, id: str) -> Message:
        raise AssertionError("nobody is to edit it")

    routed = Door(edit).intake.route(message(LIST, Recipient(Address("x", "example.com"))), "OWN")

    assert routed.id == "OWN"
    assert [str(each.address) for each in routed.message.envelope.recipients] == [
        "bob@example.net",
        "carol@example.net",
        "x@example.com",
    ]
    assert [hop.nexthop for hop in routed.hops] == ["example.net", "example.net", "example.com"]
    assert routed.born == EPOCH


# -- logins -----------------------------------------------------------------------------------------------------


def submitted(*evidence: object) -> Transaction:
    txn = transaction()
    txn.session.login = Login("ALICE", Address("Alice", "example.org"))
    for each in evidence:
        txn.evidence.add(each)
    return txn


async def test_message_of_a_login_is_queued_under_its_name() -> None:
    routed = await Door().intake.prepare(message(), submitted())

    assert (routed.login, routed.held) == ("alice@example.org", False)


async def test_message_of_a_held_account_is_kept_and_written_down() -> None:
    def edit(txn: Transaction | None, before: Message, id: str) -> Message:
        return Message(before.envelope, before.content, (EDIT, HeaderEdit("remove", b"bcc")))

    door = Door(edit)
    hold = Hold("alice@example.org", EPOCH, "3 messages within an hour")

    id = await door.intake.accept(door.draft(), message(), submitted(hold))

    assert door.entries == []
    assert [row.state for row in await door.store.find(QueueFilter(id=id))] == ["held"]
    assert door.intake.held == 1
    [record] = door.journal.records
    assert (record["held"], record["removed"]) == ("3 messages within an hour", ["bcc"])


async def test_what_is_on_its_way_in_now_is_waited_for_and_nothing_else() -> None:
    door = Door()
    await door.intake.wait_begun()
    first = asyncio.create_task(door.intake.accept(door.draft(), message(), transaction()))
    await asyncio.sleep(0)

    await door.intake.wait_begun()

    assert len(door.entries) == 1
    await first


async def test_a_turn_comes_each_time_that_routing_has_taken_its_time() -> None:
    clock, turns = FakeClock(), 0

    class Routing:
        def route(
            self, recipient: Recipient, sender: Address | None
        ) -> Sequence[tuple[Recipient, Hop]]:
            clock.advance(0.6 * TURN)
            return [(recipient, Hop("smtp", "example.net"))]

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(somebody_else())
    nine = [Recipient(Address(f"u{n}", "example.net")) for n in range(9)]

    await Intake(Routing(), clock, random.Random(1)).prepare(message(*nine), None)

    other.cancel()
    assert turns == 4


async def test_message_that_is_kept_is_not_complained_of(caplog: pytest.LogCaptureFixture) -> None:
    door = Door()

    await door.intake.accept(door.draft(), message(), transaction())
    await settle_down()

    assert caplog.records == []
