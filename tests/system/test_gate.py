"""How many jobs run and how many wait."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from notqmail.mail.errors import AuthUnavailableError
from notqmail.system.gate import Gate, PoolGate
from tests.support.clock import settle_down, virtual_time


class Jobs:
    """Jobs that end when told to."""

    def __init__(self) -> None:
        self.started: list[asyncio.Future[int]] = []

    def start(self) -> "asyncio.Future[int]":
        self.started.append(asyncio.get_running_loop().create_future())
        return self.started[-1]


async def test_result_of_the_job_is_given() -> None:
    jobs, gate = Jobs(), Gate(1, 0, "it")
    caller = asyncio.create_task(gate.run(jobs.start, 10))
    await asyncio.sleep(0)

    jobs.started[0].set_result(7)

    assert await caller == 7


async def test_only_so_many_run_at_once_and_the_others_come_in_turn() -> None:
    jobs, gate = Jobs(), Gate(2, 2, "it")
    callers = [asyncio.create_task(gate.run(jobs.start, 10)) for _ in range(4)]
    await asyncio.sleep(0)
    assert len(jobs.started) == 2

    for number in range(4):
        jobs.started[number].set_result(number)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert await asyncio.gather(*callers) == [0, 1, 2, 3]


async def test_who_comes_on_top_of_the_waiting_is_turned_away() -> None:
    jobs, gate = Jobs(), Gate(1, 1, "it")
    callers = [asyncio.create_task(gate.run(jobs.start, 10)) for _ in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(AuthUnavailableError, match="it: more than 1 logins wait"):
        await gate.run(jobs.start, 10)

    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)


@virtual_time
async def test_job_that_takes_too_long_keeps_its_place_until_it_is_done() -> None:
    jobs, gate = Jobs(), Gate(1, 1, "it")
    for _ in range(2):
        with pytest.raises(AuthUnavailableError, match="it: no answer within 10 s"):
            await gate.run(jobs.start, 10)
    assert len(jobs.started) == 1

    jobs.started[0].set_exception(AuthUnavailableError("late"))  # nobody hears that
    await asyncio.sleep(0)

    caller = asyncio.create_task(gate.run(jobs.start, 10))
    await asyncio.sleep(0)
    jobs.started[1].set_result(1)
    assert await caller == 1


async def test_caller_that_is_cancelled_leaves_no_place_taken() -> None:
    jobs, gate = Jobs(), Gate(1, 1, "it")
    callers = [asyncio.create_task(gate.run(jobs.start, 10)) for _ in range(2)]
    await asyncio.sleep(0)

    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    jobs.started[0].cancel()
    await asyncio.sleep(0)

    caller = asyncio.create_task(gate.run(jobs.start, 10))
    await asyncio.sleep(0)
    jobs.started[1].set_result(1)
    assert await caller == 1


async def test_job_that_cannot_be_started_takes_no_place() -> None:
    def fail() -> "asyncio.Future[int]":
        raise AuthUnavailableError("gone")

    jobs, gate = Jobs(), Gate(1, 0, "it")
    for _ in range(3):
        with pytest.raises(AuthUnavailableError, match="gone"):
            await gate.run(fail, 10)

    caller = asyncio.create_task(gate.run(jobs.start, 10))
    await asyncio.sleep(0)
    jobs.started[0].set_result(1)
    assert await caller == 1


# before a pool of threads


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
    gate = PoolGate(held, 2, 1, "hashes")
    inside = [asyncio.create_task(gate.run(abs, -n)) for n in range(3)]
    await settle_down()

    assert held.running == 2
    with pytest.raises(AuthUnavailableError):
        await gate.run(abs, -9)
    held.go.set()

    assert await asyncio.gather(*inside) == [0, 1, 2]


async def test_a_job_that_fails_makes_room() -> None:
    held = Held()
    held.go.set()
    gate = PoolGate(held, 1, 0, "hashes")

    for _ in range(3):
        with pytest.raises(ValueError, match="invalid literal"):
            await gate.run(int, "x")
