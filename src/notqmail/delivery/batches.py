"""Jobs in batches: what is submitted while the workers are busy is done together when one is free.

Batches form by themselves. An idle system does each job at once; the busier it is, the larger the batches and
the cheaper each job. A second worker is only woken for a crowd: until then what comes waits for the batch that is
being done, because one batch of sixteen costs the disk little more than a batch of one. All bookkeeping is on the event loop, so there is nothing to lock; one hop to a thread and one
back serve a whole batch.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

J = TypeVar("J")
R = TypeVar("R")
CROWD = 16  # jobs waiting for which it is worth to start one more worker


class Batches(Generic[J, R]):
    """A fixed set of worker threads fed with batches of at most `limit` jobs.

    `work` gives one result per job, in order; what it raises is raised by every job of the batch.
    """

    def __init__(
        self, work: Callable[[Sequence[J]], Sequence[R]], *, workers: int, limit: int, name: str
    ) -> None:
        self._work, self._workers, self._limit = work, workers, limit
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._waiting: deque[tuple[J, asyncio.Future[R]]] = deque()
        self._running: set[asyncio.Future[Sequence[R]]] = set()
        self._start_due = False

    def submit(self, job: J) -> asyncio.Future[R]:
        """Add a job. Cancelling the future does not undo the job."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append((job, future))
        if not self._start_due and self._startable:
            self._start_due = True
            loop.call_soon(self._start)  # at the end of this turn, with all that it brings
        return future

    async def close(self) -> None:
        """Do what has been submitted, then end the threads."""
        while self._waiting or self._running:
            if self._running:
                await asyncio.wait(self._running)
            await asyncio.sleep(0)  # the batch's own callback starts the next one
        self._pool.shutdown(wait=False)

    @property
    def _startable(self) -> bool:
        running, waiting = len(self._running), len(self._waiting)
        return waiting > 0 and (running == 0 or (running < self._workers and waiting >= CROWD))

    def _start(self) -> None:
        """Give what waits to workers."""
        self._start_due = False
        while self._startable:
            size = min(self._limit, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(size)]
            run = asyncio.get_running_loop().run_in_executor(
                self._pool, self._work, [job for job, _ in batch]
            )
            self._running.add(run)
            run.add_done_callback(lambda done, batch=batch: self._done(done, batch))  # type: ignore[misc]

    def _done(
        self, run: asyncio.Future[Sequence[R]], batch: list[tuple[J, asyncio.Future[R]]]
    ) -> None:
        self._running.discard(run)
        error = run.exception()
        if error is None:
            for (_, future), result in zip(batch, run.result(), strict=True):
                if not future.done():
                    future.set_result(result)
        else:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
        self._start()
