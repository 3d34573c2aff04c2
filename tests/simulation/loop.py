"""The event loop of the simulation: virtual time, a simulated network, and no thread.

Nothing here waits for the machine, and nothing depends on an address in memory or a hash seed: tasks hash by their
number, executor jobs run in the loop itself, in the order in which they were handed in, a moment later.

A `Life` is one incarnation of a program on a host: everything that is started in it belongs to it, and `end` takes it
all away at once, as kill -9 does.
"""

import asyncio
import contextlib
import contextvars
import selectors
import socket
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

from tests.simulation.chance import Chance
from tests.simulation.network import Host, Listening, Network
from tests.simulation.trace import Trace
from tests.support.clock import DeadlockError, VirtualLoop, VirtualSelector

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

JOB = 0.002  # seconds that an executor job waits, and again that its result takes, at most

LIFE: contextvars.ContextVar["Life"] = contextvars.ContextVar("life")


class _NoSelector(VirtualSelector):
    """There are no descriptors: time passes, or nothing can happen."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.busy:
            return super().select(timeout)
        if timeout is None:
            raise DeadlockError("nothing is left that could happen")
        if timeout > 0:
            self.now += timeout
        return []


class SimulatedTask(asyncio.Task[Any]):
    """A task that hashes by its number, so that sets of tasks have one order in every run."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class Life:
    """A program at work on a host, from its start to its end."""

    def __init__(self, name: str, host: Host) -> None:
        self.name, self.host = name, host
        self.alive = True
        self.tasks: dict[SimulatedTask, None] = {}
        self.context = contextvars.copy_context()
        self.context.run(LIFE.set, self)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine in this life."""
        return asyncio.get_running_loop().create_task(work, context=self.context.copy())

    def kill(self) -> None:
        """Stop it where it is, also in the middle of a job: connections are cut first, so that no task can say
        goodbye, and no task goes on with a result that it has not seen yet."""
        self.alive = False
        self.host.cut()
        for task in tuple(self.tasks):
            task.cancel()

    async def end(self) -> None:
        """Take everything away. No time passes."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        self.kill()
        while self.tasks:
            for task in tuple(self.tasks):
                task.cancel()
            await asyncio.sleep(0)
        loop.forget(self)


class SimulatedLoop(VirtualLoop):
    """`network` is what its connections run over, `trace` what happened."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(_NoSelector())
        chance = Chance(seed)
        self.trace = Trace(self.time)
        self.network = Network(self, chance, self.trace)
        self._jobs = chance.of("jobs")
        self._last_job = 0.0
        self.took: Callable[[], float] = (
            float  # the seconds that jobs have taken since it was last asked
        )
        self._numbers = 0
        self.set_task_factory(self._make_task)

    # -- tasks and jobs -----------------------------------------------------------------------------------------

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any
    ) -> asyncio.Task[Any]:
        number = self._numbers = self._numbers + 1
        name = options.pop("name", None) or f"task {number}"
        task = SimulatedTask.__new__(SimulatedTask)
        task.number = number  # before anything puts it into a set
        task.__init__(work, loop=self, name=name, **options)  # type: ignore[misc]
        context = options.get("context")
        life = LIFE.get(None) if context is None else context.get(LIFE)
        if life is not None:
            life.tasks[task] = None
            task.add_done_callback(life.tasks.pop)
        return task

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run it here: in the order of submission, a moment later, with a result a moment after that."""
        done: asyncio.Future[T] = self.create_future()
        self._last_job = max(self._last_job + 1e-6, self.time() + JOB * self._jobs.random())
        self.call_at(self._last_job, self._run_job, done, func, args)
        return done

    def _run_job(self, done: asyncio.Future[T], func: Callable[[*Ts], T], args: tuple[*Ts]) -> None:
        if done.cancelled():
            return
        tell: Callable[[], None]
        try:
            result = func(*args)
        except Exception as error:
            failed = error
            tell = lambda: None if done.done() else done.set_exception(failed)  # noqa: E731
        else:
            tell = lambda: None if done.done() else done.set_result(result)  # noqa: E731
        self.call_later(self.took() + JOB * self._jobs.random(), tell)

    def forget(self, life: Life) -> None:
        """Drop every callback and timer that was set in a life."""
        for handle in (*self._ready, *self._scheduled):  # type: ignore[attr-defined]
            if handle._context.get(LIFE) is life:
                handle.cancel()

    # -- what the network answers ---------------------------------------------------------------------------------

    async def create_server(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        """Listen on the host of this life: on the port, or on a socket of `Network.socket`."""
        sock = options.get("sock")
        if sock is not None:
            host, port = sock.getsockname()
        where = self.network.host(host) if host else LIFE.get().host
        return Listening(where, int(port), protocol_factory, contextvars.copy_context())

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect; the socket is only a name for the connection, no octet passes through it."""
        self.network.dialled[sock] = await self.network.connect(LIFE.get().host, *address[:2])

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        """Connect, or take over what `sock_connect` has connected."""
        sock = options.get("sock")
        if sock is None:
            end = await self.network.connect(LIFE.get().host, str(host), int(port))
        else:
            end = self.network.dialled.pop(sock)
        protocol = protocol_factory()
        end.attach(protocol, contextvars.copy_context(), sock)
        await asyncio.sleep(0)  # its connection_made comes first, as ever
        return end, protocol


def simulate(seed: int, main: Callable[[SimulatedLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a simulation of its own."""
    loops: list[SimulatedLoop] = []

    def make() -> SimulatedLoop:
        loops.append(SimulatedLoop(seed))
        return loops[0]

    async def begin() -> T:
        try:
            return await main(loops[0])
        finally:
            loops[0].network.close()

    with contextlib.closing(asyncio.Runner(loop_factory=make)) as runner:
        return runner.run(begin())
