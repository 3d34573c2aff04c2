"""Mail of many kinds, sent at random at a steady rate, and what is owed for it."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.client import Client, RefusedError, connected
from tests.soak.letters import Debt, Letters, letter
from tests.soak.world import World

SENDER = "soak@sender.example"  # gets no bounce
AT_ONCE = 200  # under way; more wait

Kind = Callable[["Traffic"], Awaitable[None]]
Kinds = Mapping[str, tuple[float, Kind]]  # name: (share of the whole, what is done)


@dataclass(slots=True)
class Traffic:
    """Sends to the world's server and notes what is owed for it. `trouble` is what should not have happened."""

    world: World
    letters: Letters
    random: random.Random
    sent: "Counter[str]" = field(default_factory=lambda: Counter[str]())
    trouble: "Counter[str]" = field(default_factory=lambda: Counter[str]())
    _marks: int = 0
    _free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def run(self, kinds: Kinds, rate: float, over: asyncio.Event) -> None:
        """Send `rate` things per second until it is over, then wait for those under way. Each kind comes once first."""
        names = list(kinds)
        first = names[::-1]
        shares = [share for share, _ in kinds.values()]
        async with asyncio.TaskGroup() as group:
            while not over.is_set():
                await self._free.acquire()
                name = first.pop() if first else self.random.choices(names, shares)[0]
                group.create_task(self._one(name, kinds[name][1]))
                await _sleep(self.random.expovariate(rate), over)

    async def _one(self, name: str, kind: Kind) -> None:
        try:
            await kind(self)
            self.sent[name] += 1
        except (RefusedError, OSError, TimeoutError) as error:
            self.trouble[f"{name}: {type(error).__name__}: {error}"[:200]] += 1
        finally:
            self._free.release()

    def mark(self) -> str:
        self._marks += 1
        return f"soak-{self._marks}"

    def text(self, octets: int, alphabet: bytes = b"abcdefghijklmnopqrstuvwxyz     ") -> bytes:
        """Lines of about so many octets in all."""
        line = bytes(self.random.choices(alphabet, k=70)).strip() + b"\r\n"
        return b"".join(b"%d %b" % (n, line) for n in range(max(1, octets // 75)))

    @asynccontextmanager
    async def owing(self, debts: Sequence[Debt]) -> AsyncIterator[None]:
        """What is sent in the block is owed; refused it is not, and when the connection breaks nobody knows."""
        self.letters.owe(debts)
        try:
            yield
        except RefusedError:
            self.letters.forgive(debts)
            raise
        except (OSError, TimeoutError):
            self.letters.forgive(debts, unsure=True)
            raise

    def client(self) -> AbstractAsyncContextManager[Client]:
        return connected("127.0.0.1", self.world.server.port)

    async def send(
        self,
        to: Sequence[str],
        where: Sequence[str],
        body: bytes,
        *,
        sender: str = SENDER,
        options: str = "",
        bounce: bool = False,
        pieces: int = 1,
        pause: float = 0.0,
    ) -> None:
        """One message over a connection of its own, expected in the mailboxes `where`."""
        mark = self.mark()
        async with self.client() as client:
            await client.envelope(sender, to, options)
            async with self.owing([Debt(mark, mailbox, bounce) for mailbox in where]):
                await client.content(letter(mark, body), pause, pieces)
                await client.end()

    async def command(self, *words: str, given: bytes = b"", statuses: Sequence[int] = (0,)) -> str:
        """Run a notqmail command to its end. Raises RefusedError when it ends with another status."""
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("notqmail")),
            *(*words, "-c", str(self.world.server.config)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours
        )
        said, _ = await process.communicate(given)
        if process.returncode not in statuses:
            raise RefusedError(f"{words[0]}: {said.decode('utf-8', 'replace').strip()}")
        return said.decode("utf-8", "replace")


async def _sleep(seconds: float, over: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await over.wait()
    except TimeoutError:
        return
