"""The postmaster hears of a held account, once."""

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from notqmail.mail.address import Address
from notqmail.mail.entry import Entry, Routed
from notqmail.mail.errors import SpoolError
from notqmail.mail.sending import SendingLimits
from notqmail.store.memory import MemoryDraft
from tests.queue.test_holds import ALICE, BOB, CAROL, REASON, HeldWorld
from tests.support.clock import EPOCH, settle_down, virtual_time

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
        [record] = world.reports("account held")
        assert (record["to"], record["at"]) == ([POSTMASTER], EPOCH)


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
        assert "To: <zoë@example.org>".encode() in (entry.message.whole or b"")
        assert not world.wire.delivered[entry.id, BOB]
