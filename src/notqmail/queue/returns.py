"""Entries on their way back to the store: there is no room for them, or their destination is dead.

Going back is no attempt: it counts for nothing but time. But patience ends for a dead destination too, so an entry is
never parked beyond the moment when its sender must be told something; then it is given out once more, to be settled
with the reason why nothing was tried.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from notqmail.config import Queue
from notqmail.mail.entry import Entry
from notqmail.mail.errors import SpoolError, StaleTokenError
from notqmail.mail.reply import Reply
from notqmail.ports import Clock, Store
from notqmail.queue.conclude import BROKEN, must_tell, next_telling
from notqmail.queue.plan import Lane

_log = logging.getLogger("notqmail.queue")


@dataclass(frozen=True, slots=True)
class Parked:
    """An entry of a dead destination: not to be tried before `due`, because of `reason`."""

    entry: Entry
    reason: Reply
    due: float


class Returns:
    """Collects what goes back; `flush` gives it."""

    def __init__(self, store: Store, clock: Clock, queue: Queue) -> None:
        self._store, self._clock, self._queue = store, clock, queue
        self._overflow: list[Entry] = []
        self._parked: list[Parked] = []

    def overflow(self, entries: Iterable[Entry]) -> None:
        """Give back what there is no room for; it stays due."""
        self._overflow += entries

    def park(self, lane: Lane, entries: Iterable[Entry]) -> None:
        """Give back what a dead lane must wait with."""
        reason = lane.reason or BROKEN
        self._parked += [Parked(entry, reason, lane.dead_until) for entry in entries]

    def untold(self) -> list[Parked]:
        """Take out what must be told of now."""
        now = self._clock.now()
        tell: list[Parked] = []
        rest: list[Parked] = []
        for item in self._parked:
            (tell if must_tell(item.entry, now, self._queue) else rest).append(item)
        self._parked = rest
        return tell

    async def flush(self) -> float | None:
        """Release everything; give when the first of the parked is due. Raises SpoolError, and keeps the rest."""
        groups: dict[float | None, list[Entry]] = {}
        if self._overflow:
            groups[None] = self._overflow
        for item in self._parked:
            due = min(item.due, next_telling(item.entry, self._queue))
            groups.setdefault(due, []).append(item.entry)
        self._overflow, self._parked = [], []
        dues = [due for due in groups if due is not None]
        while groups:
            when, entries = groups.popitem()
            try:
                await self._store.release(entries, when)
            except StaleTokenError as error:
                _log.warning("released late error=%r", str(error))
            except SpoolError:
                self.overflow(entry for group in (entries, *groups.values()) for entry in group)
                raise
        return min(dues, default=None)
