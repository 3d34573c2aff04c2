"""What to start now: a pure state machine of lanes, slots and bounds. It knows no task, no store and no clock.

An entry waits in the lane of its destination. Each pool (local, remote) has slots of its own and gives them to its
lanes in turn, one entry each, so that a lane with one message never waits behind a lane with thousands. Bounds:

    slots       a pool's concurrency; no lane gets more than half of them (or than `destination_concurrency`)
    window      what a remote lane may use of that: it grows by one for each cohort of successes and shrinks by one
                for each failure to talk to the destination, as Postfix does. At zero the destination is dead: nothing
                is tried until a pause is over, then a single entry is
    active set  entries in memory. A lane may hold as many as are still free, so that however many lanes there are,
                one more finds room; the last quarter is kept for local mail, fresh or from the store

What one destination really is (an MX set) is known only after a look-up. Until then a lane is provisional: it holds
one destination and runs one entry, whose attempt asks and then calls `join`.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from notqmail.config import Queue
from notqmail.mail.entry import Entry
from notqmail.mail.hop import Hop
from notqmail.mail.reply import Reply

REMOTE_TRANSPORT = "smtp"
INITIAL_WINDOW = 5
FIRST_PAUSE = (
    300.0  # seconds a destination that has died is left alone; doubled each time it is dead again
)
LAST_PAUSE = 3600.0


class Feedback(Enum):
    """What an attempt says of its destination: it talks to us, it does not, or nothing."""

    ALIVE = auto()
    UNREACHABLE = auto()
    NOTHING = auto()


@dataclass(slots=True, eq=False)
class Pool:
    """The slots of one kind of delivery. `ring` holds the lanes that may have something to start, in turn."""

    slots: int
    adaptive: bool
    lane_limit: int
    running: int = 0
    ring: deque["Lane"] = field(default_factory=deque)


@dataclass(slots=True, eq=False)
class Lane:
    """One destination. `window` is how many may run, `dead_until` wall-clock seconds, `reason` the reply it died
    with. `resume_at` is the count at which it wants more from the store, when it was skipped there."""

    name: str
    pool: Pool
    window: float
    provisional: bool
    destinations: set[str] = field(default_factory=set)
    waiting: deque[Entry] = field(default_factory=deque)
    running: int = 0
    in_ring: bool = False
    dead_until: float = 0.0
    pause: float = FIRST_PAUSE
    reason: Reply | None = None
    resume_at: int = -1

    @property
    def count(self) -> int:
        """Entries it holds in memory."""
        return len(self.waiting) + self.running

    @property
    def limit(self) -> int:
        """How many may run now."""
        return 1 if self.provisional else min(int(self.window), self.pool.lane_limit)

    def dead(self, now: float) -> bool:
        """Say whether it is to be left alone. A wall clock that went back does not prolong that."""
        return now < self.dead_until <= now + LAST_PAUSE


@dataclass(slots=True, eq=False)
class Job:
    """An entry that has a slot, and the lane it counts in."""

    entry: Entry
    lane: Lane


class Plan:
    """The active set and the lanes."""

    def __init__(self, queue: Queue) -> None:
        self._active = queue.active
        self._claim_bound = queue.active - queue.active // 4
        self._pools = {
            False: _pool(queue.local_concurrency, queue.local_concurrency, adaptive=False),
            True: _pool(queue.remote_concurrency, queue.destination_concurrency, adaptive=True),
        }
        self._lanes: dict[str, Lane] = {}
        self._lane_of: dict[str, Lane] = {}  # by destination
        self._count = 0
        self._wanted = {False: 0, True: 0}  # by `remote`: the room that somebody waits for
        self.wanting = False  # somebody wants more from the store

    @property
    def count(self) -> int:
        """Entries in memory, waiting or running."""
        return self._count

    @property
    def pools(self) -> tuple[Pool, Pool]:
        """Local first."""
        return self._pools[False], self._pools[True]

    def room(self, *, remote: bool = True) -> int:
        """How many entries may be claimed from the store now; local ones alone, if not `remote`: the last quarter of
        the active set is theirs."""
        return (self._claim_bound if remote else self._active) - self._count

    def skip(self, *, remote: bool = True) -> list[str]:
        """Give the destinations that hold their share already, and note that they want more when they hold half."""
        skipped: list[str] = []
        free = max(1, self.room(remote=remote))
        for lane in self._lanes.values():
            if lane.count >= free and (remote or not lane.pool.adaptive):
                lane.resume_at = lane.count // 2
                skipped += lane.destinations
        return skipped

    def want_room(self, entries: int, *, remote: bool = True) -> None:
        """Say that the store has more than there was room for: `wanting` is set once so many fit."""
        bound = self._claim_bound if remote else self._active - self._claim_bound
        self._wanted[remote] = min(entries, max(1, bound // 2))

    def admits(self, hop: Hop) -> bool:
        """Say whether one more entry for this hop may be kept in memory."""
        bound = self._claim_bound if hop.transport == REMOTE_TRANSPORT else self._active
        free = bound - self._count
        if free <= 0:
            return False
        lane = self._lane_of.get(hop.destination)
        return lane is None or lane.count < free

    def lane(self, hop: Hop) -> Lane:
        """Give the lane of a hop, a new one if need be."""
        destination = hop.destination
        found = self._lane_of.get(destination)
        if found is not None:
            return found
        pool = self._pools[hop.transport == REMOTE_TRANSPORT]
        window = min(INITIAL_WINDOW, pool.lane_limit) if pool.adaptive else pool.lane_limit
        lane = Lane(destination, pool, window, provisional=pool.adaptive)
        self._adopt(lane, destination)
        self._lanes[destination] = lane
        return lane

    def add(self, entry: Entry) -> None:
        """Keep an entry until it has a slot."""
        lane = self.lane(entry.hop)
        lane.waiting.append(entry)
        self._count += 1
        self._offer(lane)

    def next(self, pool: Pool) -> Job | None:
        """Give the next entry to start a slot; None when there is no slot, or nobody may use it."""
        ring = pool.ring
        while ring and pool.running < pool.slots:
            lane = ring.popleft()
            lane.in_ring = False
            if not lane.waiting or lane.running >= lane.limit:
                continue  # it comes back with `add`, or when one of its entries is done
            entry = lane.waiting.popleft()
            lane.running += 1
            pool.running += 1
            self._offer(lane)
            return Job(entry, lane)
        return None

    def join(self, job: Job, name: str, now: float) -> bool:
        """Say what the destination of a job in a provisional lane really is: `name`. The lane and all in it become
        part of that one. False when the job may not run there now: it waits again, and its slot is free."""
        provisional = job.lane
        key = f"{job.entry.hop.transport} {name}"
        real = self._lanes.get(key)
        if real is None:
            del self._lanes[provisional.name]
            provisional.name, provisional.provisional = key, False
            self._lanes[key] = provisional
            self._offer(provisional)
            return True
        self._merge(provisional, real)
        job.lane = real
        if real.running <= real.limit and not real.dead(now):
            return True
        real.waiting.appendleft(job.entry)
        self._free(real)
        return False

    def feedback(self, lane: Lane, said: Feedback, now: float, reason: Reply | None = None) -> None:
        """Adapt a lane's window to what an attempt said of it; at zero it is dead for a while."""
        if not lane.pool.adaptive or said is Feedback.NOTHING:
            return
        if said is Feedback.ALIVE:
            lane.window = min(lane.window + 1 / max(lane.window, 1.0), lane.pool.lane_limit)
            lane.pause, lane.dead_until = FIRST_PAUSE, 0.0
            return
        if lane.dead(now):
            return  # it was under way when the lane died
        lane.reason = reason
        lane.window -= 1
        if lane.window < 1:
            lane.window = 1
            lane.dead_until = now + lane.pause
            lane.pause = min(2 * lane.pause, LAST_PAUSE)

    def take_waiting(self, lane: Lane) -> list[Entry]:
        """Take everything that waits in a lane out of the active set (it is dead)."""
        entries = list(lane.waiting)
        lane.waiting.clear()
        self._count -= len(entries)
        return entries

    def take_all(self) -> list[Entry]:
        """Take everything that waits anywhere out of the active set (no more starts)."""
        return [entry for lane in self._lanes.values() for entry in self.take_waiting(lane)]

    def take_ids(self, ids: frozenset[str]) -> list[Entry]:
        """Take what waits of these messages out of the active set (somebody wants to edit them)."""
        taken = []
        for lane in self._lanes.values():
            mine = [entry for entry in lane.waiting if entry.id in ids]
            if mine:
                lane.waiting = deque(entry for entry in lane.waiting if entry.id not in ids)
                taken += mine
        self._count -= len(taken)
        return taken

    def done(self, job: Job, now: float) -> None:
        """Free a job's slot and its place in the active set."""
        lane = job.lane
        self._free(lane)
        self._count -= 1
        if lane.count <= lane.resume_at:
            lane.resume_at, self.wanting = -1, True
        for remote, wanted in self._wanted.items():
            if wanted and self.room(remote=remote) >= wanted:
                self._wanted[remote], self.wanting = 0, True
        if not lane.count and not lane.dead(now):
            self._forget(lane)

    def sweep(self, now: float) -> None:
        """Forget destinations that were dead and of which nothing was heard for another pause."""
        for lane in list(self._idle()):
            if not lane.dead(now) and now >= lane.dead_until + lane.pause:
                self._forget(lane)

    def _idle(self) -> Iterator[Lane]:
        return (lane for lane in self._lanes.values() if not lane.count)

    def _merge(self, provisional: Lane, real: Lane) -> None:
        for destination in provisional.destinations:
            self._adopt(real, destination)
        real.waiting.extend(provisional.waiting)
        real.running += provisional.running
        real.resume_at = max(real.resume_at, provisional.resume_at)
        provisional.waiting.clear()
        del self._lanes[provisional.name]
        self._offer(real)

    def _adopt(self, lane: Lane, destination: str) -> None:
        lane.destinations.add(destination)
        self._lane_of[destination] = lane

    def _free(self, lane: Lane) -> None:
        lane.running -= 1
        lane.pool.running -= 1
        self._offer(lane)

    def _offer(self, lane: Lane) -> None:
        if lane.waiting and not lane.in_ring and lane.running < lane.limit:
            lane.in_ring = True
            lane.pool.ring.append(lane)

    def _forget(self, lane: Lane) -> None:
        del self._lanes[lane.name]
        for destination in lane.destinations:
            del self._lane_of[destination]


def _pool(slots: int, per_lane: int, *, adaptive: bool) -> Pool:
    return Pool(slots, adaptive, min(per_lane, max(1, slots // 2)))
