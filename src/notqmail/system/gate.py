"""How many jobs of a kind run at once, and how many may wait for it."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from notqmail.mail.errors import AuthUnavailableError
from notqmail.ports import Offload

T = TypeVar("T")


class Gate:
    """Lets `at_once` jobs run and `waiting` more wait; who comes on top of that is turned away at once.

    A job that cannot be stopped keeps its place until it is done, though nobody waits for it any longer: so what
    hangs can never be more than `at_once`. `what` names it in the errors.
    """

    def __init__(self, at_once: int, waiting: int, what: str) -> None:
        self._room = asyncio.Semaphore(at_once)
        self._waiting, self._what = waiting, what
        self._inside = 0
        self._most = at_once + waiting

    async def run(
        self, start: Callable[[], "asyncio.Future[T]"], timeout: float | None = None
    ) -> T:
        """Start a job when there is room, and give its result. Raises AuthUnavailableError when too many wait, or when
        the room and the result take more than `timeout` seconds (None: no such limit); and what the job raises."""
        if self._inside >= self._most:
            raise AuthUnavailableError(f"{self._what}: more than {self._waiting} logins wait")
        self._inside += 1
        try:
            async with asyncio.timeout(timeout):
                await self._room.acquire()
                return await asyncio.shield(self._started(start))
        except TimeoutError:
            raise AuthUnavailableError(f"{self._what}: no answer within {timeout:g} s") from None
        finally:
            self._inside -= 1

    def _started(self, start: Callable[[], "asyncio.Future[T]"]) -> "asyncio.Future[T]":
        try:
            job = start()
        except BaseException:
            self._room.release()
            raise
        job.add_done_callback(self._ended)
        return job

    def _ended(self, job: "asyncio.Future[Any]") -> None:
        self._room.release()
        if not job.cancelled():
            job.exception()  # seen, though the caller may be gone: asyncio would complain of it


class PoolGate:
    """A gate before a pool of threads: `what` runs there, `at_once` at the most."""

    def __init__(self, offload: Offload, at_once: int, waiting: int, what: str) -> None:
        self._offload, self._gate = offload, Gate(at_once, waiting, what)

    async def run(self, function: Callable[..., T], /, *args: Any) -> T:
        """Call `function(*args)` in the pool. Raises AuthUnavailableError when too many wait already."""
        return await self._gate.run(
            lambda: asyncio.ensure_future(self._offload.run(function, *args))
        )
