"""What runs beside the event loop on a real machine, run by the simulated loop: thread pools and the store's writer.

Both hand their work to `loop.run_in_executor`, whose simulation runs it in the loop's own thread, a moment later.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, ParamSpec, TypeVar

from notqmail.mail.errors import SpoolError
from notqmail.store.commits import BATCH, Commits, Op, resolve
from notqmail.store.database import Database

P = ParamSpec("P")
T = TypeVar("T")


class LoopPool(Executor):
    """A pool of threads that are none."""

    def __init__(self, _threads: int = 1, _name: str = "") -> None:
        self._loop = asyncio.get_running_loop()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run it soon."""
        answer: Future[T] = Future()
        job = self._loop.run_in_executor(None, partial(fn, *args, **kwargs))
        job.add_done_callback(partial(_answer, answer))
        return answer


def _answer(answer: Future[T], job: asyncio.Future[T]) -> None:
    if not answer.set_running_or_notify_cancel():
        job.exception()
    elif (error := job.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(job.result())


class LoopWriter:
    """store.writer.Writing, one batch after the other."""

    def __init__(self, database: Database, loop: asyncio.AbstractEventLoop) -> None:
        self._database, self._commits = database, Commits(database)
        self._loop = loop
        self._waiting: deque[Op] = deque()
        self._at_work: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def trouble(self) -> SpoolError | None:
        return self._commits.trouble

    def submit(
        self, run: Callable[[Database], T], unclaimed: Callable[[T], None] | None = None
    ) -> "asyncio.Future[T]":
        if self._closed:
            raise SpoolError("the queue is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(Op(run, future, unclaimed))
        if self._at_work is None:
            self._at_work = self._loop.create_future()
            self._next()
        return future

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            if self._at_work is not None:
                await self._at_work
            await self._loop.run_in_executor(None, self._database.close)

    def _next(self) -> None:
        self._loop.run_in_executor(None, self._turn).add_done_callback(self._done)

    def _turn(self) -> tuple[Sequence[Op], list[Any]]:
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        return batch, self._commits.commit(batch)

    def _done(self, job: asyncio.Future[tuple[Sequence[Op], list[Any]]]) -> None:
        resolve(*job.result())
        if self._waiting:
            self._next()
        elif self._at_work is not None:
            self._at_work.set_result(None)
            self._at_work = None
