import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from notqmail.mail.errors import AuthUnavailableError
from notqmail.system.gate import Gate
from tests.support.clock import settle_down


class Held:
    """ports.Offload that holds each job until it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.running = 0

    async def run(self, function: Callable[..., Any], /, *args: Any) -> Any:
        self.running += 1
        try:
            await self.go.wait()
            return function(*args)
        finally:
            self.running -= 1


async def test_so_many_are_at_work_so_many_wait_and_the_next_is_told_at_once() -> None:
    held = Held()
    gate = Gate(held, at_once=2, waiting=1)
    inside = [asyncio.create_task(gate.run(abs, -n)) for n in range(3)]
    await settle_down()

    assert (held.running, gate.inside) == (2, 3)
    with pytest.raises(AuthUnavailableError):
        await gate.run(abs, -9)
    held.go.set()

    assert await asyncio.gather(*inside) == [0, 1, 2]
    assert gate.inside == 0


async def test_who_goes_away_makes_room() -> None:
    held = Held()
    gate = Gate(held, at_once=1, waiting=1)
    inside = [asyncio.create_task(gate.run(abs, -n)) for n in range(2)]
    await settle_down()
    inside[1].cancel()
    await settle_down()

    third = asyncio.create_task(gate.run(abs, -3))
    await settle_down()
    held.go.set()

    assert await third == 3
    assert inside[1].cancelled()


async def test_a_job_that_fails_makes_room() -> None:
    held = Held()
    held.go.set()
    gate = Gate(held, at_once=1, waiting=0)

    for _ in range(3):
        with pytest.raises(ValueError, match="invalid literal"):
            await gate.run(int, "x")
    assert gate.inside == 0
