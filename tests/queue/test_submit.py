"""Local submission: judged by the local pipeline, then through the one door."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from notqmail.mail.address import Address
from notqmail.mail.envelope import Body, Envelope, Notify, Recipient, Ret
from notqmail.mail.errors import SpoolError
from notqmail.mail.message import Mark
from notqmail.mail.reply import Reply
from notqmail.policy.pipeline import Pipeline
from notqmail.policy.relay_guard import RelayGuard
from notqmail.policy.verdict import ACCEPT, Quarantine, Reject
from notqmail.queue.submit import Submission
from tests.support.clock import EPOCH, FakeClock
from tests.support.smtpd import Intake, MemoryDraft, NullStore

ROOT = Address("root", "mx.example.org")
ABROAD = Recipient(Address("bob", "elsewhere.example"))
NO = Reject(Reply(550, "5.7.1", "no"), "test")


class Door(Intake):
    def new_id(self) -> str:
        return "L1"


class Judge:
    """Says what it was told to say, at once or after a turn of the loop; counts octets."""

    def __init__(self, rcpt: Any = ACCEPT, message: Any = ACCEPT, *, slow: bool = False) -> None:
        self.rcpt, self.message, self.slow = rcpt, message, slow
        self.octets, self.finished = 0, False

    def on_rcpt(self, txn: Any, recipient: Any) -> Any:
        return self._later(self.rcpt) if self.slow else self.rcpt

    def on_message(self, txn: Any, message: Any) -> Any:
        return self._later(self.message) if self.slow else self.message

    def on_body(self, txn: Any) -> Any:
        return self

    def feed(self, chunk: bytes) -> None:
        self.octets += len(chunk)

    def finish(self) -> None:
        self.finished = True

    async def _later(self, verdict: Any) -> Any:
        await asyncio.sleep(0)
        return verdict


class House:
    def __init__(self, judge: Judge, envelope: Envelope | None = None) -> None:
        self.store, self.door = NullStore(), Door()
        self.envelope = envelope or Envelope(ROOT, (ABROAD,))
        clock = FakeClock()
        pipeline = Pipeline([judge], clock, RelayGuard(lambda domain: False))
        self.submission = Submission(self.store, self.door, clock, lambda: pipeline)  # type: ignore[arg-type]

    async def submit(self, *chunks: bytes, fault: Exception | None = None) -> Reply:
        async def content() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk
            if fault is not None:
                raise fault

        return await self.submission.submit("root", self.envelope, content())


@pytest.mark.parametrize("slow", [False, True])
async def test_a_local_user_may_write_to_anybody(slow: bool) -> None:
    judge = Judge(slow=slow)
    house = House(judge)

    reply = await house.submit(b"Subject: x\r\n", b"\r\nhello\r\n")

    assert str(reply) == "250 2.0.0 queued as L1"
    [(_, message, octets)] = house.door.accepted
    assert octets == b"Subject: x\r\n\r\nhello\r\n"
    assert message.envelope.recipients == (ABROAD,)
    assert house.door.transactions[0].session.local_user == "root"
    assert (judge.octets, judge.finished) == (len(octets), True)


@pytest.mark.parametrize("slow", [False, True])
async def test_a_stage_may_refuse_a_recipient(slow: bool) -> None:
    house = House(Judge(rcpt=NO, slow=slow))

    assert await house.submit(b"x\r\n") == NO.reply
    assert house.door.accepted == []
    assert house.store.drafts == []


@pytest.mark.parametrize("slow", [False, True])
async def test_a_stage_may_refuse_the_message(slow: bool) -> None:
    house = House(Judge(message=NO, slow=slow))

    assert await house.submit(b"x\r\n") == NO.reply
    assert house.door.accepted == []
    assert house.store.drafts[0].discarded


async def test_a_mark_stays_with_the_message() -> None:
    house = House(Judge(message=Quarantine(Mark("Junk"), "test")))

    await house.submit(b"x\r\n")

    assert house.door.accepted[0][1].marks == {ABROAD: Mark("Junk")}


async def test_a_submission_that_breaks_off_leaves_nothing() -> None:
    house = House(Judge())

    with pytest.raises(ConnectionResetError):
        await house.submit(b"half", fault=ConnectionResetError())

    assert house.store.drafts[0].discarded
    assert house.door.accepted == []


async def test_back_pressure_of_the_store_is_waited_for() -> None:
    class Slow(NullStore):
        def draft(self) -> MemoryDraft:
            draft = super().draft()
            draft.pressure = asyncio.sleep(0)
            return draft

    house = House(Judge())
    house.submission._store = Slow()  # type: ignore[assignment]

    assert (await house.submit(b"x\r\n")).positive


async def test_a_store_without_room_is_the_callers_to_tell() -> None:
    house = House(Judge())
    house.store.fault = SpoolError("full", full=True)

    with pytest.raises(SpoolError):
        await house.submit(b"x\r\n")


async def test_the_envelope_enters_the_queue_as_it_was_handed_in() -> None:
    to = Recipient(ABROAD.address, Notify.DELAY, "rfc822;b@example.com")
    envelope = Envelope(ROOT, (to,), "id 7", Ret.HDRS, smtputf8=True, body=Body.EIGHTBIT)
    house = House(Judge(), envelope)

    await house.submit(b"x\r\n")

    assert house.door.accepted[0][1].envelope == envelope
    assert house.door.transactions[0].started == EPOCH


async def test_a_null_sender_stays_one() -> None:
    house = House(Judge(), Envelope(None, (ABROAD,)))

    await house.submit(b"x\r\n")

    assert house.door.accepted[0][1].envelope.sender is None


async def test_every_submission_is_a_session_of_its_own() -> None:
    house = House(Judge())

    for _ in range(3):
        await house.submit(b"x\r\n")

    sessions = [txn.session for txn in house.door.transactions]
    assert [session.id for session in sessions] == ["local1", "local2", "local3"]
    assert {(session.listener, session.kind) for session in sessions} == {("local", "local")}
    assert sessions[0].peer.address == ""


async def test_stages_see_the_transaction_and_the_message_and_the_door_the_draft() -> None:
    seen: list[Any] = []

    class Watch(Judge):
        def on_body(self, txn: Any) -> Any:
            seen.append(txn)
            return super().on_body(txn)

        def on_message(self, txn: Any, message: Any) -> Any:
            seen.append(message)
            return super().on_message(txn, message)

    class Notes(Door):
        async def accept(self, draft: Any, message: Any, txn: Any) -> str:
            seen.append(draft)
            return await super().accept(draft, message, txn)

    house = House(Watch())
    house.submission._door = Notes()

    await house.submit(b"x\r\n")

    txn, message, draft = seen
    assert txn.session.local_user == "root"
    assert message.content.whole == b"x\r\n"
    assert draft is house.store.drafts[0]


async def test_a_null_sender_is_told_as_an_empty_one(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "notqmail.queue"):
        await House(Judge(), Envelope(None, (ABROAD,))).submit(b"x\r\n")

    [record] = caplog.records
    assert record.fields["sender"] == ""  # type: ignore[attr-defined]


async def test_what_was_accepted_is_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "notqmail.queue"):
        await House(Judge()).submit(b"x\r\n")

    [record] = caplog.records
    assert record.getMessage() == "accepted"
    assert record.fields == {  # type: ignore[attr-defined]
        "s": "local1",
        "m": "L1",
        "user": "root",
        "sender": "root@mx.example.org",
        "recipients": 1,
        "size": 3,
        "reply": "250 2.0.0 queued as L1",
    }
