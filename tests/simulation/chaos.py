"""Misfortunes: what begins, and what ends again. `CHAOS` names them; a plan says which of them come when.

Whatever begins here ends by itself; `heal` ends what is left, so that the quiet phase is quiet.
"""

import asyncio
import contextlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from notqmail.config import Seconds
from notqmail.mail.errors import NotqmailError
from notqmail.queue.operations import Action
from tests.simulation.chance import spread
from tests.simulation.client import Client
from tests.simulation.disk import Crash
from tests.simulation.ledger import Ledger
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Host
from tests.simulation.peer import MOODS, Peer
from tests.simulation.plan import Misfortune
from tests.simulation.program import Program
from tests.simulation.resolver import FAULTS, SimulatedResolver
from tests.simulation.starvation import Watchman

MOST_STARTS = 400  # tries, one a minute: longer than any trouble lasts
BIG_JUMP = 86400.0  # seconds by which the wall clock may be set


class Chaos:
    """Brings misfortunes over a world. `injected` counts them by name."""

    def __init__(
        self,
        loop: SimulatedLoop,
        program: Program,
        peers: list[Peer],
        clients: list[Client],
        ledger: Ledger,
        watchman: Watchman,
        random: random.Random,
    ) -> None:
        self.injected: Counter[str] = Counter()
        self.latest = program.world.clock.now()  # the highest wall clock ever seen
        self._loop, self._program, self._peers, self._clients = loop, program, peers, clients
        self._ledger, self._watchman, self._random = ledger, watchman, random
        self._serving = asyncio.Lock()  # one start or stop of the server at a time
        self._turns: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._at_work: dict[asyncio.Task[None], None] = {}
        self._quiet = asyncio.Event()

    @property
    def _resolver(self) -> SimulatedResolver:
        return self._program.world.resolver

    def begin(self, misfortune: Misfortune) -> None:
        """Let one begin."""
        self._loop.trace.note(
            "chaos", "%s of %d for %.0f s", misfortune.what, misfortune.who, misfortune.seconds
        )
        self.injected[misfortune.what] += 1
        task = asyncio.create_task(self._bring(misfortune))
        self._at_work[task] = None
        task.add_done_callback(self._over)

    async def _bring(self, misfortune: Misfortune) -> None:
        """One after the other where it is the same for the same: what began in one would end in the other."""
        async with self._turns[misfortune.what, misfortune.who]:
            await CHAOS[misfortune.what](self, misfortune)

    def _over(self, task: asyncio.Task[None]) -> None:
        del self._at_work[task]
        task.result()  # what went wrong here is reported by the loop

    async def heal(self) -> None:
        """End everything that has begun, and wait until it is over."""
        self._quiet.set()
        while self._at_work:
            await asyncio.wait(tuple(self._at_work))
        self.latest = max(self.latest, self._program.world.clock.now())

    async def _last(self, seconds: float) -> None:
        """Wait as long as a misfortune takes, but not into the quiet phase."""
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            pass

    # -- the server ---------------------------------------------------------------------------------------------

    async def crash(self, misfortune: Misfortune) -> None:
        """Kill -9, and a start later."""
        async with self._serving:
            await self._die(misfortune.seconds)

    async def disk_crash(self, misfortune: Misfortune) -> None:
        """The same in the middle of what it does to the disk, whatever that is."""
        async with self._serving:
            operations = int(spread(self._random, 1, 200))
            self._program.world.disk.crash_after(operations, self._kind())
            try:
                async with asyncio.timeout(600):
                    await self._program.dead.wait()
            except TimeoutError:
                pass
            await self._die(misfortune.seconds)

    @contextlib.contextmanager
    def _disturbing(self, after: float = 0.0) -> Iterator[None]:
        """While this lasts, and `after` seconds longer, the server is excused."""
        began = self._loop.time()
        self._program.troubles += 1
        try:
            yield
        finally:
            self._program.troubles -= 1
            self._ledger.disturbances.append((began, self._loop.time() + after))

    async def _die(self, seconds: float) -> None:
        with self._disturbing():
            self._ledger.interruptions.append(self._loop.time())
            await self._program.crash(self._kind())
            await self._last(seconds)
            await self._start()

    def _kind(self) -> Crash:
        return self._random.choice(("kill", "power"))

    async def _start(self) -> None:
        """Start it as a service manager does, again and again until it runs."""
        tries = 1
        while not await self._program.start():
            if tries == MOST_STARTS:
                self._ledger.complaints.append("the server does not start any more")
                return
            await asyncio.sleep(10 if tries < 10 else 60)
            tries += 1

    async def crash_loop(self, misfortune: Misfortune) -> None:
        """Killed again and again, at the start or soon after it."""
        await self.crash(misfortune)
        for _ in range(self._random.randint(1, 5)):
            operations = int(spread(self._random, 1, 60))
            self._program.world.disk.crash_after(operations, self._kind())
            await asyncio.sleep(self._random.random() * 3)
            await self.crash(misfortune)

    async def restart(self, misfortune: Misfortune) -> None:
        """An orderly stop, and a start later."""
        async with self._serving:
            with self._disturbing():
                in_a_hurry = self._random.random() < 0.3
                await self._program.stop(self._random.random() if in_a_hurry else None)
                self._ledger.interruptions.append(self._loop.time())
                await self._last(misfortune.seconds)
                await self._start()

    async def reload(self, misfortune: Misfortune) -> None:
        """Another configuration under load; sometimes several at once."""
        async with self._serving:
            program = self._program
            if program.server is None or program.life is None:
                return
            listen = program.config.listen[0]
            limits = replace(listen.limits, command_timeout=Seconds(self._random.choice((60, 300))))
            delay = Seconds(self._random.choice((0, 0, 3)))
            changed = (replace(listen, limits=limits, greet_delay=delay),)
            program.config = replace(program.config, listen=changed)
            adopting = program.life.start(program.server.adopt(program.config))
            await asyncio.wait([adopting])

    async def hold(self, misfortune: Misfortune) -> None:
        """A postmaster holds all that waits, and lets it go later."""
        with self._disturbing(after=60):
            await self._operate("hold")
            await self._last(misfortune.seconds)
            while not await self._operate("release"):
                await asyncio.sleep(30)

    async def retry(self, misfortune: Misfortune) -> None:
        """A postmaster is impatient."""
        for _ in range(self._random.randint(1, 20)):
            await self._operate("retry")
            await asyncio.sleep(self._random.random() * 10)

    async def _operate(self, action: Action) -> bool:
        """Act on the whole queue; False when that was not done, or nobody knows."""
        program = self._program
        if program.server is None or program.life is None:
            return False
        acting = program.life.start(program.server.operations.edit(action, {"all": True}))
        await asyncio.wait([acting])
        if acting.cancelled():
            return False
        error = acting.exception()
        if error is not None and not isinstance(error, NotqmailError):
            raise error
        return error is None

    async def clock_jump(self, misfortune: Misfortune) -> None:
        """Somebody sets the wall clock."""
        began = self._loop.time()
        clock = self._program.world.clock
        self.latest = max(self.latest, clock.now())
        clock.jump(self._random.choice((-1, 1)) * BIG_JUMP * self._random.random() ** 3)
        self.latest = max(self.latest, clock.now())
        self._ledger.disturbances.append((began, began + BIG_JUMP))

    async def bad_disk(self, misfortune: Misfortune) -> None:
        """No room, or other trouble, for a while."""
        disk = self._program.world.disk
        trouble = self._random.choice(disk.troubles)
        self._loop.trace.note("chaos", "the disk is %s", trouble)
        with self._disturbing(after=60):  # what waits for the disk waits for up to a minute longer
            disk.suffer(trouble)
            await self._last(misfortune.seconds)
            disk.recover()

    # -- the network ----------------------------------------------------------------------------------------------

    async def _unplug(self, host: Host, misfortune: Misfortune) -> None:
        host.unplug()
        await self._last(misfortune.seconds)
        host.plug_in()

    async def server_unplugged(self, misfortune: Misfortune) -> None:
        """Nobody reaches us, and we nobody."""
        await self._unplug(self._program.host, misfortune)

    async def peer_unplugged(self, misfortune: Misfortune) -> None:
        """A provider is a black hole."""
        await self._unplug(self._peers[misfortune.who].host, misfortune)

    async def client_unplugged(self, misfortune: Misfortune) -> None:
        """A client is cut off."""
        await self._unplug(self._clients[misfortune.who].host, misfortune)

    async def peer_slow(self, misfortune: Misfortune) -> None:
        """A thin and bad line."""
        host = self._peers[misfortune.who].host
        before = host.latency, host.rate, host.pieces
        host.latency, host.rate, host.pieces = 2.0, 2000.0, 0.9
        await self._last(misfortune.seconds)
        host.latency, host.rate, host.pieces = before

    # -- who is out there -------------------------------------------------------------------------------------------

    async def peer_down(self, misfortune: Misfortune) -> None:
        """A provider does not run: connections are refused, or its address answers nothing at all."""
        peer = self._peers[misfortune.who]
        await peer.stop()
        peer.host.up = self._random.random() < 0.5
        await self._last(misfortune.seconds)
        peer.host.up = True
        await peer.start()

    async def peer_mood(self, misfortune: Misfortune) -> None:
        """A provider behaves otherwise."""
        peer = self._peers[misfortune.who]
        peer.mood = self._random.choice(tuple(MOODS))
        await self._last(misfortune.seconds)
        peer.mood = "good"

    async def dns_fault(self, misfortune: Misfortune) -> None:
        """Our resolver answers nothing of use."""
        self._resolver.fault = self._random.choice(FAULTS)
        await self._last(misfortune.seconds)
        self._resolver.fault = ""

    async def dns_change(self, misfortune: Misfortune) -> None:
        """A domain moves to another provider, for good."""
        domain = f"d{misfortune.who}.example"
        other = self._random.randrange(len(self._peers))
        self._watchman.one_group = True
        self._resolver.zones.update({domain: {"MX": f"10 mx{other}.provider.example"}})


CHAOS: Mapping[str, Callable[[Chaos, Misfortune], Coroutine[Any, Any, None]]] = {
    "crash": Chaos.crash,
    "crash loop": Chaos.crash_loop,
    "restart": Chaos.restart,
    "reload": Chaos.reload,
    "hold": Chaos.hold,
    "retry": Chaos.retry,
    "clock jump": Chaos.clock_jump,
    "disk crash": Chaos.disk_crash,
    "bad disk": Chaos.bad_disk,
    "server unplugged": Chaos.server_unplugged,
    "peer unplugged": Chaos.peer_unplugged,
    "client unplugged": Chaos.client_unplugged,
    "peer slow": Chaos.peer_slow,
    "peer down": Chaos.peer_down,
    "peer mood": Chaos.peer_mood,
    "dns fault": Chaos.dns_fault,
    "dns change": Chaos.dns_change,
}
