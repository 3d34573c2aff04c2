"""Accounts that are held, and what they have in the queue."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from notqmail.mail.address import Address
from notqmail.mail.entry import QueueFilter, QueueRow
from notqmail.mail.envelope import Recipient
from notqmail.mail.login import Login
from notqmail.mail.message import Message
from notqmail.mail.sending import SendingLimits
from notqmail.policy.account_limits import AccountLimits
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT
from notqmail.queue.hold_notices import HoldNotices
from notqmail.queue.holds import Holds
from notqmail.queue.intake import Intake
from notqmail.queue.operations import MAX_ROWS, OperationError, Operations
from tests.support.clock import EPOCH, settle_down, virtual_time
from tests.support.policy import session
from tests.support.queue_world import CONTENT, HOSTNAME, QueueWorld
from tests.support.sending import MemorySending
from tests.support.transports import GREYLISTED

ALICE, CAROL, BOB = "alice@example.org", "carol@example.org", "bob@example.net"
LIMITS = SendingLimits(messages=2)
REASON = "3 messages within an hour, submission.messages_per_hour is 2"


class HeldWorld(QueueWorld):
    """A queue whose submitted mail is counted."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sending = MemorySending(self.clock)
        self.stage = AccountLimits(self.sending, LIMITS)
        operations = Operations(
            self.store, self.journal, self.router, self.clock, manager=self.manager
        )
        self.holds = Holds(self.sending, self.store, operations, self.intake.wait_begun)
        self.notices = self.notices_through(self.intake)
        self.sending.on_hold = self.notices.nudge
        self.telling: asyncio.Task[None] | None = None

    def notices_through(self, intake: Intake) -> HoldNotices:
        return HoldNotices(
            self.sending,
            self.holds,
            self.store,
            intake,
            clock=self.clock,
            journal=self.journal,
            hostname=HOSTNAME,
            postmaster=lambda: self.router.postmaster,
        )

    async def __aenter__(self) -> "HeldWorld":
        await super().__aenter__()
        self.telling = asyncio.create_task(self.notices.run())
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self.telling is not None
        self.telling.cancel()
        await super().__aexit__(*error)

    async def judge(self, account: str, to: str) -> tuple[Transaction, Message, Any]:
        """What stands between RCPT and the commit."""
        login = Login(account, Address.parse(account))
        id = self.intake.new_id()
        txn = Transaction(id, session(login=login), login.address, self.clock.now())
        txn.recipients.append(Recipient(Address.parse(to)))
        draft = self.store.draft()
        draft.write(CONTENT)
        message = Message(txn.envelope, draft.content())
        verdict = await self.stage.on_message(txn, message)
        if verdict is not ACCEPT:
            assert verdict.rule == "account held"
        return txn, message, draft

    async def submit(self, account: str = ALICE, to: str = BOB) -> str:
        txn, message, draft = await self.judge(account, to)
        return await self.intake.accept(draft, message, txn)

    async def states(self) -> dict[str, str]:
        return {row.id: row.state for row in await self.store.find(QueueFilter())}

    async def ask(self, op: str, **args: Any) -> Any:
        return await self.holds.table[op](args)


@virtual_time
async def test_what_is_over_the_limit_is_kept_and_what_was_before_is_delivered() -> None:
    async with HeldWorld() as world:
        ids = [await world.submit() for _ in range(4)]
        await settle_down()

        assert world.wire.delivered[ids[0], BOB] == world.wire.delivered[ids[1], BOB] == 1
        assert await world.states() == {ids[2]: "held", ids[3]: "held"}
        assert world.intake.held == 2


@virtual_time
async def test_nothing_is_lost_or_sent_however_long_it_is_held() -> None:
    async with HeldWorld() as world:
        ids = [await world.submit() for _ in range(3)]
        await asyncio.sleep(30 * 86400)

        assert await world.states() == {ids[2]: "held"}


@virtual_time
async def test_what_the_account_had_waiting_is_held_too_and_nobody_elses() -> None:
    async with HeldWorld() as world:
        world.wire.say("example.net", GREYLISTED)
        others = await world.submit(CAROL)
        ids = [await world.submit() for _ in range(3)]
        await settle_down()

        states = await world.states()
        assert [states[id] for id in ids] == ["held"] * 3
        assert states[others] == "deferred"


@virtual_time
async def test_the_list_says_who_since_when_why_and_how_much() -> None:
    async with HeldWorld() as world:
        for account in (ALICE, CAROL, ALICE, CAROL, ALICE, CAROL, ALICE):
            await world.submit(account)
        await asyncio.sleep(10)

        facts = {"since": EPOCH, "reason": REASON}
        assert await world.ask("account_holds") == [
            {"account": ALICE, **facts, "messages": 2, "recipients": 2},
            {"account": CAROL, **facts, "messages": 1, "recipients": 1},
        ]


@virtual_time
async def test_no_recipient_of_a_held_account_is_too_many_to_be_counted() -> None:
    async with HeldWorld() as world:
        for _ in range(3):
            await world.submit()
        await settle_down()
        find, limits = world.store.find, list[int]()

        async def noting(which: QueueFilter, limit: int = 1000) -> Sequence[QueueRow]:
            limits.append(limit)
            return await find(which, limit)

        world.store.find = noting  # type: ignore[method-assign]

        await world.ask("account_holds")

        assert limits == [MAX_ROWS]


@virtual_time
async def test_what_was_being_delivered_when_the_hold_began_is_not_kept() -> None:
    async with HeldWorld() as world:
        world.wire.seconds["example.net"] = 60.0
        world.wire.say("example.net", GREYLISTED)
        ids = [await world.submit() for _ in range(3)]
        await asyncio.sleep(100)

        [listed] = await world.ask("account_holds")
        released = await world.ask("account_release", account=ALICE)

        assert (listed["messages"], listed["recipients"]) == (1, 1)
        assert released == {"messages": 1, "recipients": 1}
        assert (await world.states())[ids[0]] == "deferred"


@virtual_time
async def test_a_release_delivers_what_was_kept_and_begins_anew() -> None:
    async with HeldWorld() as world:
        ids = [await world.submit() for _ in range(4)]
        await settle_down()

        released = await world.ask("account_release", account=ALICE)
        fresh = await world.submit()
        await settle_down()

        assert released == {"messages": 2, "recipients": 2}
        assert all(world.wire.delivered[id, BOB] == 1 for id in (*ids, fresh))
        assert await world.ask("account_holds") == []


@virtual_time
async def test_a_message_on_its_way_in_while_its_account_is_released_is_delivered() -> None:
    async with HeldWorld() as world:
        for _ in range(3):
            await world.submit()
        txn, message, draft = await world.judge(ALICE, BOB)
        accepting = asyncio.create_task(world.intake.accept(draft, message, txn))
        await asyncio.sleep(0)

        await world.ask("account_release", account=ALICE)
        id = await accepting
        await settle_down()

        assert world.wire.delivered[id, BOB] == 1


@virtual_time
async def test_held_mail_whose_account_is_free_is_released_by_asking_again() -> None:
    async with HeldWorld() as world:
        ids = [await world.submit() for _ in range(3)]
        await world.sending.release(ALICE)

        assert await world.ask("account_release", account=ALICE) == {"messages": 1, "recipients": 1}
        await settle_down()

        assert world.wire.delivered[ids[2], BOB] == 1


@virtual_time
async def test_who_is_not_held_cannot_be_released() -> None:
    async with HeldWorld() as world:
        await world.submit()

        with pytest.raises(OperationError, match="is not held; `notqmail user held` lists"):
            await world.ask("account_release", account=ALICE)
        with pytest.raises(OperationError, match="'account' is missing"):
            await world.ask("account_release")


@virtual_time
async def test_an_account_released_meanwhile_is_not_kept() -> None:
    async with HeldWorld() as world:
        world.wire.say("example.net", GREYLISTED)
        id = await world.submit()
        await settle_down()

        await world.holds.keep(ALICE)

        assert await world.states() == {id: "deferred"}


@virtual_time
async def test_the_journal_says_why_and_who_held_what() -> None:
    async with HeldWorld() as world:
        world.wire.say("example.net", GREYLISTED)
        ids = [await world.submit() for _ in range(3)]
        await settle_down()

        records = {r["id"]: r for r in world.journal.records if r["kind"] == "transaction"}
        assert records[ids[2]]["held"] == REASON
        assert "held" not in records[ids[1]]
        [operation] = [r for r in world.journal.records if r["kind"] == "operation"]
        assert (operation["action"], operation["by"]) == ("hold", "the sending limits")
        assert set(operation["ids"]) == set(ids[:2])


@virtual_time
async def test_offline_a_release_is_only_written_down() -> None:
    world = HeldWorld()
    await world.sending.count(ALICE, [Address.parse(BOB)] * 3, 100, SendingLimits(recipients=2))
    operations = Operations(world.store, world.journal, world.router, world.clock)

    released = await Holds(world.sending, world.store, operations).release({"account": ALICE})

    assert released == {"messages": 0, "recipients": 0}
    assert world.sending.held == {}
