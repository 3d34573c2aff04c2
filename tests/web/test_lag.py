import asyncio

from notqmail.web.lag import watch_lag
from tests.support.clock import FakeClock, virtual_time


@virtual_time
async def test_loop_that_is_held_up_is_late() -> None:
    clock, reported = FakeClock(), list[float]()
    watching = asyncio.create_task(watch_lag(clock, reported.append, every=1.0))

    await asyncio.sleep(1.5)
    clock.advance(0.25)  # as if a callback had taken so long
    await asyncio.sleep(2)
    watching.cancel()

    assert reported == [0.0, 0.25, 0.0]
