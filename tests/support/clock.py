"""Virtual time: an event loop that never waits, and the Clock that goes with it.

    @virtual_time
    async def test_a_week_of_retries_takes_no_time() -> None:
        clock = FakeClock()
        await asyncio.sleep(7 * 86400)
        assert clock.monotonic() == 7 * 86400

`VirtualLoop` is the ordinary selector loop with its own time: when every task waits and only timers are left, the
time jumps to the next one. Real I/O still works (sockets are looked at first), and so do executor jobs: while one
runs, time stands still. A thread that reports with `call_soon_threadsafe` alone, as a database writer does, is waited
for inside `with loop.still():`. When nothing can ever happen again the loop raises `DeadlockError` instead of hanging.

`run(coro)` is `asyncio.run` in virtual time, for hypothesis and for synchronous tests. `FakeClock` also works
without a loop: then time is what `advance` makes it. `clock.jump(seconds)` moves the wall clock alone, either way.
"""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

T = TypeVar("T")
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")

EPOCH = 1_800_000_000.0  # wall-clock seconds at which a FakeClock starts (2027-01-15)


class DeadlockError(AssertionError):
    """Every task waits for something that no timer, socket or thread will bring."""


class VirtualSelector(selectors.DefaultSelector):
    """Answers at once; the time it was told to wait is added to the virtual time instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.busy = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.busy:
            return super().select(0.05)
        if timeout is None:
            ready = super().select(0.2)  # the last chance of a thread that is just about to report
            if not ready:
                raise DeadlockError("nothing is left that could happen")
            return ready
        self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is virtual; it starts at 0. `selector` decides how time passes."""

    def __init__(self, selector: VirtualSelector | None = None) -> None:
        self._virtual = selector or VirtualSelector()
        super().__init__(self._virtual)
        self._clock_resolution = 1e-6  # floats stay finer than this for a virtual century

    def time(self) -> float:
        return self._virtual.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As ever, with time standing still until the job is done."""
        future = super().run_in_executor(executor, func, *args)
        self._virtual.busy += 1
        future.add_done_callback(self._done)
        return future

    def _done(self, _: object) -> None:
        self._virtual.busy -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """As ever, with time standing still: since 3.12 there is a timeout that it would jump over."""
        with self.still():
            await super().shutdown_default_executor()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Hold the time: a thread is at work that this loop cannot see."""
        self._virtual.busy += 1
        try:
            yield
        finally:
            self._virtual.busy -= 1


class FakeClock:
    """ports.Clock in virtual time. Wall-clock `now` begins at EPOCH when `monotonic` is 0."""

    def __init__(self, now: float = EPOCH) -> None:
        self._wall = now
        self._passed = 0.0

    def monotonic(self) -> float:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return self._passed
        return self._passed + (loop.time() if isinstance(loop, VirtualLoop) else 0.0)

    def now(self) -> float:
        return self._wall + self.monotonic()

    def advance(self, seconds: float) -> None:
        """Let time pass without the loop (its timers do not see it)."""
        self._passed += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back with a negative number; no time passes."""
        self._wall += seconds


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time on a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def virtual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make a coroutine test one that runs in virtual time (fixtures work as usual)."""

    @functools.wraps(test)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        return run(test(*args, **kwargs))

    return wrapper


async def settle_down(rounds: int = 50) -> None:
    """Let every task that can run do so, without time passing."""
    for _ in range(rounds):
        await asyncio.sleep(0)
