"""Virtual time itself."""

import asyncio
import threading

import pytest

from tests.support.clock import EPOCH, DeadlockError, FakeClock, VirtualLoop, run, virtual_time


@virtual_time
async def test_sleeping_takes_no_time_and_moves_both_clocks() -> None:
    clock = FakeClock()

    await asyncio.sleep(7 * 86400)

    assert clock.monotonic() == 7 * 86400
    assert clock.now() == EPOCH + 7 * 86400


@virtual_time
async def test_timers_go_off_in_order() -> None:
    order: list[int] = []
    loop = asyncio.get_running_loop()
    for delay in (3, 1, 2):
        loop.call_later(delay, order.append, delay)

    await asyncio.sleep(4)

    assert order == [1, 2, 3]


@virtual_time
async def test_time_stands_still_while_an_executor_works() -> None:
    clock, gate = FakeClock(), threading.Event()
    threading.Timer(0.02, gate.set).start()

    await asyncio.to_thread(gate.wait)

    assert clock.monotonic() == 0


@virtual_time
async def test_time_stands_still_for_a_thread_when_told_to() -> None:
    clock, loop = FakeClock(), asyncio.get_running_loop()
    done = asyncio.Event()
    threading.Timer(0.02, lambda: loop.call_soon_threadsafe(done.set)).start()
    loop.call_later(60, lambda: None)
    assert isinstance(loop, VirtualLoop)

    with loop.still():
        await done.wait()

    assert clock.monotonic() == 0


def test_waiting_for_what_cannot_happen_is_an_error() -> None:
    with pytest.raises(DeadlockError):
        run(asyncio.Event().wait())


def test_without_a_loop_time_is_what_is_made_of_it() -> None:
    clock = FakeClock()

    clock.advance(10)
    clock.jump(-5)

    assert (clock.monotonic(), clock.now()) == (10, EPOCH + 5)
