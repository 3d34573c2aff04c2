"""One attempt, from the transport's answer to the store's record. Whatever breaks on the way, nothing is lost.

A transport that raises is a bug, and its entry is tried again later. A report that cannot be made turns its failures
into delays: the recipients wait, rather than fail without anybody being told. A store that cannot record is asked
again until it can: forgetting would deliver the same message twice.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from notqmail.config import Queue
from notqmail.mail.address import Address
from notqmail.mail.entry import Entry, Routed
from notqmail.mail.errors import SpoolError, StaleTokenError
from notqmail.mail.hop import Hop
from notqmail.mail.outcome import Outcome
from notqmail.mail.reply import Reply
from notqmail.ports import Clock, Journal, Store, Transport
from notqmail.queue.bounce import Reporter
from notqmail.queue.conclude import BROKEN, Conclusion, complete, conclude, delayed, put_off
from notqmail.queue.record import record_attempt

NO_TRANSPORT = Reply(451, "4.3.5", "no way to deliver this is configured here, it is tried again")
FIRST_WAIT = 1.0  # seconds before a settlement is tried again; doubled each time
LAST_WAIT = 60.0

_log = logging.getLogger("notqmail.queue")


class Attempts:
    """What an attempt needs of the world."""

    def __init__(
        self,
        store: Store,
        transports: Mapping[str, Transport],
        reporter: Reporter,
        *,
        clock: Clock,
        journal: Journal,
        queue: Queue,
        postmaster: Address,
    ) -> None:
        self._store, self._transports, self._reporter = store, transports, reporter
        self._clock, self._journal = clock, journal
        self._queue, self._postmaster = queue, postmaster

    async def lane(self, hop: Hop) -> str:
        """Give what the destination of a hop really is; the hop's own name when the transport cannot say."""
        transport = self._transports.get(hop.transport)
        if transport is None:
            return hop.destination
        try:
            return await transport.lane(hop)
        except Exception:
            _log.exception("transport failed to name a lane hop=%s", hop.destination)
            return hop.destination

    async def deliver(self, entry: Entry) -> tuple[Outcome, ...]:
        """Try once; give one outcome for each recipient, in order."""
        transport = self._transports.get(entry.hop.transport)
        if transport is None:
            _log.error("no transport m=%s hop=%s", entry.id, entry.hop.destination)
            return delayed(entry, NO_TRANSPORT, self._clock.now())
        try:
            outcomes = await transport.deliver(entry)
        except Exception:
            _log.exception("transport failed m=%s hop=%s", entry.id, entry.hop.destination)
            return delayed(entry, BROKEN, self._clock.now())
        return complete(entry, outcomes, self._clock.now())

    async def record(
        self, entry: Entry, outcomes: Sequence[Outcome], seconds: float
    ) -> tuple[float | None, Sequence[Entry]]:
        """Record an attempt and what follows from it. Give when the entry is due again, if it is, and the reports
        that entered the queue, claimed."""
        now = self._clock.now()
        conclusion = conclude(entry, outcomes, now, self._queue, self._postmaster)
        try:
            reports = await self._reporter.reports(entry, conclusion)
        except Exception:
            _log.exception("no report could be made m=%s", entry.id)
            conclusion, reports = put_off(entry, outcomes, now, self._queue), ()
        entries = await self._settle(entry, conclusion, reports)
        record_attempt(self._journal, entry, conclusion, now, seconds)
        return conclusion.next_due, entries

    async def _settle(
        self, entry: Entry, conclusion: Conclusion, reports: Sequence[Routed]
    ) -> Sequence[Entry]:
        wait = FIRST_WAIT
        while True:
            try:
                return await self._store.settle(
                    entry,
                    conclusion.outcomes,
                    conclusion.next_due,
                    reports,
                    conclusion.delay_told,
                )
            except StaleTokenError:
                _log.warning("result dropped, somebody else holds the entry m=%s", entry.id)
                return ()
            except SpoolError as error:
                _log.error(
                    "attempt not recorded yet m=%s error=%r again=%ds", entry.id, str(error), wait
                )
            await asyncio.sleep(wait)
            wait = min(2 * wait, LAST_WAIT)
