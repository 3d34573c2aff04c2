"""Tells the postmaster of an account that is held: one message for each hold, also when the server died before it."""

import asyncio
import contextlib
import logging
import shlex
from collections.abc import Awaitable, Callable
from typing import Protocol

from notqmail.journal import origin_record
from notqmail.mail.address import Address
from notqmail.mail.envelope import Body, Envelope, Recipient
from notqmail.mail.hold_notice import render_notice
from notqmail.mail.message import Message
from notqmail.mail.sending import Hold
from notqmail.ports import Clock, Draft, Journal, Sending, Store
from notqmail.queue.holds import Holds

PAUSE = 60.0  # seconds before it is tried again after it failed

_log = logging.getLogger("notqmail.queue")


class Door(Protocol):
    """What notices need of Intake."""

    def new_id(self) -> str: ...
    async def accept(self, draft: Draft, message: Message, txn: None) -> str: ...


class HoldNotices:
    """`postmaster` gives who is told, `hostname` is our name as an A-label."""

    def __init__(
        self,
        sending: Sending,
        holds: Holds,
        store: Store,
        intake: Door,
        *,
        clock: Clock,
        journal: Journal,
        hostname: str,
        postmaster: Callable[[], Address],
    ) -> None:
        self._sending, self._holds, self._store, self._intake = sending, holds, store, intake
        self._clock, self._journal, self._hostname = clock, journal, hostname
        self._postmaster = postmaster
        self._wake = asyncio.Event()

    def nudge(self) -> None:
        """An account has begun to be held (Sending.on_hold)."""
        self._wake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self._wake.clear()
            wait: float | None = PAUSE
            try:
                await self._tell_all()
                wait = None
            except Exception:
                _log.exception("the postmaster is not told of held accounts yet")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def _tell_all(self) -> None:
        for hold in await self._sending.holds():
            if not hold.told:
                await self._holds.keep(hold.account)
                await self._tell(hold)
                await self._sending.told(hold.account)

    async def _tell(self, hold: Hold) -> None:
        to, now = self._postmaster(), self._clock.now()
        octets = render_notice(
            hold, id=self._intake.new_id(), hostname=self._hostname, to=to, at=now
        )
        envelope = Envelope(
            sender=None,
            recipients=(Recipient(to),),
            smtputf8=not to.ascii,
            body=None if to.ascii else Body.EIGHTBIT,
        )
        draft = self._store.draft()
        if isinstance(pressure := draft.write(octets), Awaitable):
            await pressure
        id = await self._intake.accept(draft, Message(envelope, draft.content()), None)
        self._journal.write(
            origin_record(id, now, parent="", why="account held", sender=None, to=[to])
        )
        _log.warning(
            "account held account=%r reason=%r m=%s remedy=%r",
            hold.account,
            hold.reason,
            id,
            f"notqmail user release {shlex.quote(hold.account)}",
        )
