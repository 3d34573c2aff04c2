"""kill -9 under load, and again: what was answered 250 is delivered, once or at worst twice."""

import asyncio
from collections import Counter

from tests.support.load import load, names
from tests.support.server import serving

KILLS = 6


async def test_no_accepted_message_is_lost_by_kill_9() -> None:
    with serving() as server:
        async with load(server.port, "alice@example.org") as sent:
            for _ in range(KILLS):
                await sent.wait_accepted(100)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.restart)
            await sent.wait_accepted(100)
        await asyncio.to_thread(server.wait_idle)

        found = Counter(names(server.mail()))

    assert len(sent.accepted) >= 100 * (KILLS + 1)
    assert sent.accepted - found.keys() == set()
    assert max(found.values()) <= 2
