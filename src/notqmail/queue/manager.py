"""The queue manager: takes what is due from the store, runs attempts within the plan's bounds, records what follows.

Fresh mail comes from intake through `take`, in memory and claimed already; everything else is claimed from the store
in pages. Nothing polls: `run` sleeps until somebody wakes it (a nudge, room after there was none, an entry that could
not be kept) or until the one timer to the next due time, which also fires every HEARTBEAT in case the wall clock was
set.

A worker is one task with one slot. It delivers, records, and goes on with the next entry of its pool; when there is
none it ends. Its slot is held until the attempt is recorded: when the disk is full nothing new starts, and what was
delivered is not delivered again.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from notqmail.config import Queue
from notqmail.mail.address import Address
from notqmail.mail.entry import Entry
from notqmail.mail.errors import SpoolError
from notqmail.mail.outcome import Outcome
from notqmail.ports import Clock, Journal, Store, Transport
from notqmail.queue.attempt import Attempts
from notqmail.queue.bounce import Reporter
from notqmail.queue.conclude import delayed, feedback_of
from notqmail.queue.plan import REMOTE_TRANSPORT, Job, Lane, Plan, Pool
from notqmail.queue.refused import TRANSPORT as REFUSED
from notqmail.queue.refused import RefusedTransport
from notqmail.queue.returns import Parked, Returns

PAGE = 100  # entries claimed at once
HEARTBEAT = 900.0  # seconds between looks at the wall clock
SHORTEST_SLEEP = 0.05  # seconds; an entry may start so much after it is due
STORE_PAUSE = 5.0  # seconds before the store is asked again after it failed

_log = logging.getLogger("notqmail.queue")


@dataclass(frozen=True, slots=True)
class Statistics:
    """Entries in memory now, and how many of them are being delivered."""

    active: int
    local: int
    remote: int


class Manager:
    """`transports` by the name in Hop.transport; `postmaster` hears of double bounces."""

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
        self._store, self._clock, self._queue = store, clock, queue
        self._attempts = Attempts(
            store,
            {REFUSED: RefusedTransport(clock), **transports},
            reporter,
            clock=clock,
            journal=journal,
            queue=queue,
            postmaster=postmaster,
        )
        self._plan = Plan(queue)
        self._tasks: set[asyncio.Task[None]] = set()
        self._returns = Returns(store, clock, queue)
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._stop = asyncio.Event()
        self._passing = asyncio.Lock()

    @property
    def statistics(self) -> Statistics:
        local, remote = self._plan.pools
        return Statistics(self._plan.count, local.running, remote.running)

    def take(self, entries: Sequence[Entry]) -> None:
        """Take over claimed entries and start what can be started. What there is no room for goes back to the
        store, and is claimed again when there is."""
        for entry in entries:
            if self._stop.is_set() or not self._plan.admits(entry.hop):
                self._returns.overflow([entry])
                self._wake.set()
            else:
                self._keep(entry)
        self._start()

    def nudge(self) -> None:
        """Look into the store again: somebody changed what is due there."""
        self._wake.set()

    async def let_go(self, ids: frozenset[str]) -> None:
        """Give back to the store what waits in memory of these messages, so that it can be edited there."""
        self._returns.overflow(self._plan.take_ids(ids))
        await self._give_back()
        self._wake.set()

    async def run(self) -> None:
        """Run until `stop`."""
        async with self._passing:
            while not self._stop.is_set():
                self._wake.clear()
                await self._pass()
                if not self._stop.is_set():
                    await self._wake.wait()

    async def stop(self, grace: float) -> None:
        """Start nothing more; let attempts end for `grace` seconds, then cancel them. A cancelled one stays leased:
        it may have delivered, and the next start treats it so."""
        self._stop.set()
        self._wake.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                _log.warning("attempts cut short at the stop count=%d", len(late))
                await asyncio.wait(late)
        self._returns.overflow(self._plan.take_all())
        async with self._passing:
            if self._timer is not None:
                self._timer.cancel()
            try:
                await self._give_back()
            except SpoolError as error:
                _log.warning("entries stay leased until the next start error=%r", str(error))

    # -- from the store and back ----------------------------------------------------------------------------

    async def _pass(self) -> None:
        try:
            await self._give_back()
            await self._fill()
        except SpoolError as error:
            _log.error("queue cannot be read error=%r", str(error))
            self._wake_at(self._clock.now() + STORE_PAUSE)
        except Exception:
            _log.exception("queue pass failed")
            self._wake_at(self._clock.now() + STORE_PAUSE)

    async def _fill(self) -> None:
        """Claim what is due while there is room, then set the timer to what is due next. When remote mail has filled
        its part of memory, local mail is claimed by itself."""
        self._plan.sweep(self._clock.now())
        if not await self._claim(remote=True):
            self._plan.want_room(PAGE)
            if not await self._claim(remote=False):
                self._plan.want_room(PAGE, remote=False)

    async def _claim(self, *, remote: bool) -> bool:
        """Claim until nothing more is due (True), or there is no room."""
        without = "" if remote else REMOTE_TRANSPORT
        while (room := self._plan.room(remote=remote)) > 0 and not self._stop.is_set():
            skip, limit = self._plan.skip(remote=remote), min(PAGE, room)
            page = await self._store.claim(self._clock.now(), limit, skip, without)
            if self._stop.is_set():
                self._returns.overflow(page)
            else:
                for entry in page:
                    self._keep(entry)
                self._start()
            await self._give_back()
            if len(page) < limit:
                due = await self._store.next_due(skip, without)
                if due is not None:
                    self._wake_at(due)
                return True
        return False

    async def _give_back(self) -> None:
        """Release what is not kept; settle what is parked but must be told of."""
        if not self._stop.is_set() and (tell := self._returns.untold()):
            self._spawn(self._tell(tell))
        due = await self._returns.flush()
        if due is not None:
            self._wake_at(due)

    async def _tell(self, parked: Sequence[Parked]) -> None:
        """Record attempts that were not worth making: their time is up, or their sender must hear of the delay."""
        for item in parked:
            outcomes = delayed(item.entry, item.reason, self._clock.now())
            await self._record(item.entry, outcomes, 0.0)

    # -- attempts -------------------------------------------------------------------------------------------

    def _keep(self, entry: Entry) -> None:
        lane = self._plan.lane(entry.hop)
        if lane.dead(self._clock.now()):
            self._park(lane, [entry])
        else:
            self._plan.add(entry)

    def _park(self, lane: Lane, entries: Sequence[Entry]) -> None:
        self._returns.park(lane, entries)
        self._wake.set()

    def _start(self) -> None:
        for pool in self._plan.pools:
            self._start_in(pool)

    def _start_in(self, pool: Pool) -> None:
        while not self._stop.is_set() and (job := self._plan.next(pool)) is not None:
            self._spawn(self._work(job))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, first: Job) -> None:
        """Run one job after the other in one slot."""
        job: Job | None = first
        pool = first.lane.pool
        while job is not None:
            if await self._joined(job):
                await self._attempt(job)
            job = None if self._stop.is_set() else self._plan.next(pool)
            self._start_in(pool)

    async def _joined(self, job: Job) -> bool:
        """Find out what the destination of a provisional lane really is; False when that must be waited for."""
        if not job.lane.provisional:
            return True
        try:
            name = await self._attempts.lane(job.entry.hop)
        except BaseException:
            self._done(job)
            raise
        now = self._clock.now()
        joined = self._plan.join(job, name, now)
        if job.lane.dead(now):
            self._park(job.lane, self._plan.take_waiting(job.lane))
        return joined

    async def _attempt(self, job: Job) -> None:
        try:
            await self._try(job)
        except Exception:
            # recorded or not, nobody knows: as after a crash
            _log.exception("entry stays leased until the next start m=%s", job.entry.id)
        finally:
            self._done(job)

    async def _try(self, job: Job) -> None:
        entry, lane = job.entry, job.lane
        started = self._clock.monotonic()
        outcomes = await self._attempts.deliver(entry)
        now = self._clock.now()
        self._plan.feedback(lane, feedback_of(outcomes), now, outcomes[0].reply)
        if lane.dead(now):
            self._park(lane, self._plan.take_waiting(lane))
        await self._record(entry, outcomes, self._clock.monotonic() - started)

    async def _record(self, entry: Entry, outcomes: Sequence[Outcome], seconds: float) -> None:
        due, children = await self._attempts.record(entry, outcomes, seconds)
        if children:
            self.take(children)
        if due is not None:
            self._wake_at(due)

    def _done(self, job: Job) -> None:
        self._plan.done(job, self._clock.now())
        if self._plan.wanting:
            self._plan.wanting = False
            self._wake.set()

    # -- time -----------------------------------------------------------------------------------------------

    def _wake_at(self, due: float) -> None:
        """Wake at wall-clock time `due` at the latest."""
        if self._stop.is_set():
            return
        loop = asyncio.get_running_loop()
        wait = min(max(due - self._clock.now(), SHORTEST_SLEEP), HEARTBEAT)
        if self._timer is not None:
            if self._timer.when() <= loop.time() + wait:
                return
            self._timer.cancel()
        self._timer = loop.call_later(wait, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._wake.set()
