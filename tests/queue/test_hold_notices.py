"""The postmaster hears of a held account, once."""

import asyncio
import re
from collections.abc import Awaitable, Sequence
from email import message_from_bytes

import pytest

from notqmail.mail.address import Address
from notqmail.mail.entry import Entry, Routed
from notqmail.mail.envelope import Body, Envelope, Recipient
from notqmail.mail.errors import SpoolError
from notqmail.mail.message import Message
from notqmail.mail.sending import SendingLimits
from notqmail.policy.transaction import Transaction
from notqmail.queue.intake import Intake
from notqmail.store.memory import MemoryDraft
from tests.queue.test_holds import ALICE, BOB, CAROL, REASON, HeldWorld
from tests.support.clock import EPOCH, settle_down, virtual_time
from tests.support.queue_world import HOSTNAME

POSTMASTER = "postmaster@example.org"


@virtual_time
async def test_the_postmaster_is_told_once_however_much_is_held() -> None:
    async with HeldWorld() as world:
        for _ in range(6):
            await world.submit()
            await settle_down()

        [notice] = world.mail_for(POSTMASTER)
        assert f"notqmail user release {ALICE}".encode() in notice
        assert REASON.split(",")[0].encode() in notice.replace(b"\r\n", b" ")


@virtual_time
async def test_the_journal_has_the_notice_as_a_message_of_our_own() -> None:
    async with HeldWorld() as world:
        for _ in range(3):
            await world.submit()
        await settle_down()

        [entry] = world.local.attempts
        assert world.reports() == [
            {
                "kind": "origin",
                "at": EPOCH,
                "id": entry.id,
                "parent": "",
                "why": "account held",
                "from": "",
                "to": [POSTMASTER],
            }
        ]


@virtual_time
async def test_policy_can_read_what_the_notice_says() -> None:
    read: list[bytes | None] = []

    def noting(txn: Transaction | None, message: Message, id: str) -> Message:
        read.append(message.content.whole)
        return message

    world = HeldWorld()
    world.notices = world.notices_through(
        Intake(world.router, world.clock, world.random, on_queue=noting)
    )
    for _ in range(3):
        await world.submit()

    async with world:
        await settle_down()

        [notice] = read
        assert notice is not None
        assert notice.startswith(b"From: Mail System <")


@virtual_time
async def test_the_notice_is_a_plain_message_of_this_host_that_nobody_answers() -> None:
    async with HeldWorld() as world:
        for _ in range(3):
            await world.submit()
        await settle_down()

        [entry] = world.local.attempts
        notice = message_from_bytes(entry.message.whole or b"")
        assert entry.message.envelope == Envelope(None, (Recipient(Address.parse(POSTMASTER)),))
        assert notice["From"] == f"Mail System <MAILER-DAEMON@{HOSTNAME}>"
        assert notice["To"] == f"<{POSTMASTER}>"
        assert notice["Date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
        assert re.fullmatch(rf"<\w{{14}}@{HOSTNAME}>", notice["Message-ID"])


@virtual_time
async def test_the_log_says_who_is_held_and_why_and_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with HeldWorld() as world:
        for _ in range(3):
            await world.submit()
        await settle_down()

        [record] = world.reports("account held")
        assert caplog.messages == [
            f"account held account={ALICE!r} reason={REASON!r} m={record['id']}"
            f" remedy='notqmail user release {ALICE}'"
        ]


@virtual_time
async def test_each_account_and_each_hold_is_told_of() -> None:
    async with HeldWorld() as world:
        for account in (ALICE, CAROL):
            for _ in range(3):
                await world.submit(account)
        await settle_down()
        await world.ask("account_release", account=ALICE)
        for _ in range(3):
            await world.submit()
        await settle_down()

        assert len(world.mail_for(POSTMASTER)) == 3


@virtual_time
async def test_who_was_not_told_before_the_server_died_is_told_at_the_start() -> None:
    world = HeldWorld()
    for _ in range(3):
        await world.submit()

    async with world:
        await settle_down()

        assert len(world.mail_for(POSTMASTER)) == 1


@virtual_time
async def test_a_hold_that_cannot_be_told_of_now_is_told_of_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = HeldWorld()
    for _ in range(3):
        await world.submit()
    world.sending.fault = SpoolError("the disk is full")

    async with world:
        await settle_down()
        assert world.mail_for(POSTMASTER) == []

        world.sending.fault = None
        await asyncio.sleep(61)

        assert len(world.mail_for(POSTMASTER)) == 1
        assert "the postmaster is not told of held accounts yet" in caplog.text


class Pressed(MemoryDraft):
    """A draft whose writes must be waited for."""

    waited = False

    def write(self, chunk: bytes) -> Awaitable[None]:
        super().write(chunk)
        return self._wait()

    async def _wait(self) -> None:
        await asyncio.sleep(1)
        self.waited = True

    async def commit(self, routed: Routed) -> Sequence[Entry]:
        assert self.waited
        return await super().commit(routed)


@virtual_time
async def test_a_draft_that_is_slow_is_waited_for() -> None:
    world = HeldWorld()
    world.store.draft = lambda: Pressed(world.store)  # type: ignore[method-assign]
    await world.sending.count(ALICE, [Address.parse(BOB)] * 3, 100, SendingLimits(recipients=2))

    async with world:
        await asyncio.sleep(10)

        assert len(world.mail_for(POSTMASTER)) == 1


@virtual_time
async def test_an_international_postmaster_is_told_in_utf8() -> None:
    async with HeldWorld(
        mailboxes=["alice@example.org", "zoë@example.org"], postmaster="zoë@example.org"
    ) as world:
        for _ in range(3):
            await world.submit()
        await settle_down()

        [entry] = [e for e in world.local.attempts if e.message.envelope.smtputf8]
        assert entry.message.envelope.body is Body.EIGHTBIT
        assert "To: <zoë@example.org>".encode() in (entry.message.whole or b"")
        assert not world.wire.delivered[entry.id, BOB]
