"""How late the event loop is: a timer that looks at the clock when it wakes."""

import asyncio
from collections.abc import Callable

from notqmail.ports import Clock

EVERY = 0.5  # seconds


async def watch_lag(clock: Clock, report: Callable[[float], None], every: float = EVERY) -> None:
    """Report after each `every` seconds by how many seconds the loop was late. Runs until it is cancelled."""
    while True:
        due = clock.monotonic() + every
        await asyncio.sleep(every)
        report(max(0.0, clock.monotonic() - due))
