"""Accounts that have sent too much: what they have in the queue is kept until somebody releases them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from notqmail.mail.entry import QueueFilter
from notqmail.ports import Sending, Store
from notqmail.queue.operations import (
    MAX_ROWS,
    Arguments,
    Operation,
    OperationError,
    Operations,
    text,
)


async def nothing_begun() -> None:
    """Where nothing comes in, nothing is on its way in."""


class Holds:
    """`begun` waits until every message that was judged before is in the store (Intake.wait_begun)."""

    def __init__(
        self,
        sending: Sending,
        store: Store,
        operations: Operations,
        begun: Callable[[], Awaitable[None]] = nothing_begun,
    ) -> None:
        self._sending, self._store, self._operations, self._begun = (
            sending,
            store,
            operations,
            begun,
        )
        self._changing = asyncio.Lock()  # a release and a hold that overlap would leave mail behind

    @property
    def table(self) -> Mapping[str, Operation]:
        """The operations by name, for the control socket."""
        return {"account_holds": self.held, "account_release": self.release}

    async def held(self, args: Arguments) -> list[dict[str, Any]]:
        """Give the accounts that are held: since when, why, and how much of theirs is kept."""
        found = []
        for hold in await self._sending.holds():
            which = QueueFilter(login=hold.account, held=True)
            rows = await self._store.find(which, MAX_ROWS)
            found.append(
                {
                    "account": hold.account,
                    "since": hold.since,
                    "reason": hold.reason,
                    "messages": len({row.id for row in rows}),
                    "recipients": len(rows),
                }
            )
        return found

    async def release(self, args: Arguments) -> dict[str, Any]:
        """Let `account` send again, and deliver what was kept of it."""
        account = text(args, "account")
        async with self._changing:
            was_held = await self._sending.release(account)
            await self._begun()  # what was judged while it was held is committed as held
            done = await self._operations.edit("release", {"login": account, "held": True})
        rows = done["done"]
        if not (was_held or rows):
            raise OperationError(
                f"the account {account!r} is not held; `notqmail user held` lists those that are"
            )
        return {"messages": len({row["id"] for row in rows}), "recipients": len(rows)}

    async def keep(self, account: str) -> None:
        """Hold what an account had in the queue before, if it is still to be held."""
        async with self._changing:
            if any(hold.account == account for hold in await self._sending.holds()):
                await self._operations.edit("hold", {"login": account}, by="the sending limits")
