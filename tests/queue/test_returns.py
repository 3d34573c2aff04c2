"""Entries on their way back to the store."""

from typing import Any

import pytest

from notqmail.config import Queue
from notqmail.mail.entry import Entry, QueueFilter
from notqmail.mail.errors import SpoolError
from notqmail.mail.hop import Hop
from notqmail.mail.reply import Reply
from notqmail.queue.conclude import BROKEN
from notqmail.queue.plan import Lane, Plan
from notqmail.queue.returns import Returns
from notqmail.store.memory import MemoryStore
from tests.support.clock import EPOCH, FakeClock
from tests.support.stored import routed

HOUR = 3600.0
DOWN = Reply(451, "4.4.1", "no answer")


class World:
    """A store with claimed entries, and a dead lane."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.returns = Returns(self.store, self.clock, Queue())

    async def claimed(self, id: str = "M1", born: float = EPOCH) -> Entry:
        [entry] = await self.store.draft().commit(routed(id, "bob@example.net", born=born))
        return entry

    def dead(self, until: float, reason: Reply | None = DOWN) -> Lane:
        lane = Plan(Queue()).lane(Hop("smtp", "example.net"))
        lane.dead_until, lane.reason = until, reason
        return lane


async def test_overflow_stays_due() -> None:
    world = World()
    world.returns.overflow([await world.claimed()])

    assert await world.returns.flush() is None
    assert len(await world.store.claim(EPOCH, 10)) == 1


async def test_parked_entry_is_due_when_its_destination_may_be_tried_again() -> None:
    world = World()
    world.returns.park(world.dead(EPOCH + 300), [await world.claimed()])

    assert await world.returns.flush() == EPOCH + 300
    assert await world.store.next_due() == EPOCH + 300


async def test_parked_entry_is_due_earlier_when_its_sender_must_be_told_something() -> None:
    world = World()
    entry = await world.claimed(born=EPOCH - 4 * HOUR + 60)
    world.returns.park(world.dead(EPOCH + 300), [entry])

    assert await world.returns.flush() == EPOCH + 60


async def test_nothing_to_give_back_asks_nothing_of_the_store() -> None:
    world = World()
    await world.store.close()

    assert await world.returns.flush() is None


async def test_what_must_be_told_now_is_given_out_with_the_reason() -> None:
    world = World()
    old, young = await world.claimed("OLD", EPOCH - 4 * HOUR), await world.claimed("YOUNG")
    world.returns.park(world.dead(EPOCH + 300), [old, young])

    assert [(item.entry, item.reason) for item in world.returns.untold()] == [(old, DOWN)]
    assert world.returns.untold() == []
    await world.returns.flush()
    assert {row.id: row.state for row in await _rows(world)} == {
        "OLD": "active",
        "YOUNG": "deferred",
    }


async def test_lane_that_died_for_no_known_reason_has_one_all_the_same() -> None:
    world = World()
    world.returns.park(world.dead(EPOCH + 300, None), [await world.claimed(born=EPOCH - 8 * 86400)])

    assert [item.reason for item in world.returns.untold()] == [BROKEN]


async def test_what_the_store_does_not_take_is_kept_and_given_back_later() -> None:
    world = World()
    release = world.store.release

    async def fails(*args: Any) -> None:
        raise SpoolError("disk failure")

    world.store.release = fails  # type: ignore[method-assign]
    world.returns.overflow([await world.claimed("M1")])
    world.returns.park(world.dead(EPOCH + 300), [await world.claimed("M2")])
    with pytest.raises(SpoolError):
        await world.returns.flush()

    world.store.release = release  # type: ignore[method-assign]
    await world.returns.flush()
    assert len(await world.store.claim(EPOCH, 10)) == 2


async def test_what_somebody_else_holds_by_now_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.returns.overflow([await world.claimed()])
    world.store.restart()

    await world.returns.flush()

    assert "released late error='" in caplog.text
    assert "M1" in caplog.text


async def _rows(world: World) -> Any:
    return await world.store.find(QueueFilter())


async def test_what_is_given_back_in_turns_is_all_given_back() -> None:
    world = World()
    for id in ("M1", "M2"):
        world.returns.overflow([await world.claimed(id)])
    for id in ("M3", "M4"):
        world.returns.park(world.dead(EPOCH + 300), [await world.claimed(id)])

    await world.returns.flush()

    assert len(await world.store.claim(EPOCH, 10)) == 2
    assert len(await world.store.claim(EPOCH + 300, 10)) == 2
