"""A bounded pool of threads for what must not run on the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class ThreadPool:
    """ports.Offload. `threads` run at once, `backlog` more may wait in the pool; callers beyond that wait their turn.

    A caller that is cancelled goes; the function it started runs to its end in its thread.
    """

    def __init__(self, threads: int, backlog: int | None = None, name: str = "offload") -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self.waiting = 0  # callers that wait for room
        self._room = asyncio.Semaphore(threads + (threads if backlog is None else backlog))

    async def run(self, function: Callable[..., T], /, *args: object) -> T:
        """Call `function(*args)` in a thread; give its result or raise what it raised."""
        self.waiting += 1
        try:
            await self._room.acquire()
        finally:
            self.waiting -= 1
        try:
            job = asyncio.get_running_loop().run_in_executor(self._pool, function, *args)
        except BaseException:
            self._room.release()
            raise
        job.add_done_callback(self._ended)
        return await asyncio.shield(job)

    def _ended(self, job: "asyncio.Future[Any]") -> None:
        self._room.release()
        if not job.cancelled():
            job.exception()  # seen, though the caller may be gone: asyncio would complain of it

    async def close(self) -> None:
        """Wait for what runs, and end the threads; nothing may be run after it."""
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)
