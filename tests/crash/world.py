"""The server under load, with everything that watches it."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.ledger import Account, Ledger
from tests.crash.maildirs import Maildirs
from tests.crash.proxy import Proxy
from tests.crash.sink import Copies
from tests.crash.source import Stream, sending
from tests.support.server import DOMAIN, Server, prepared
from tests.support.smtp_sink import SmtpSink

USERS = ("alice", "many", "2many")  # smtp-source numbers recipients: many, 2many, 3many
FORWARDED = {f"{name}@{DOMAIN}": f"{name}@sink.example" for name in ("away", "3many")}
STREAMS = (
    Stream(f"alice@{DOMAIN}", sessions=8),
    Stream(f"away@{DOMAIN}", sessions=6),
    Stream(f"many@{DOMAIN}", sessions=4, recipients=3, kept=True),  # two stay here, one is relayed
    Stream(f"many@{DOMAIN}", sessions=2, recipients=3, octets=200_000),  # over queue.inline
)
STOP = 60.0  # seconds that SIGTERM has to end it in
IDLE = 180.0  # seconds that the queue has to become empty in


class StuckError(Exception):
    """The server did not do what every audit waits for; the text says what was seen."""


@dataclass(slots=True)
class World:
    """`directory` holds the server and its mail; the ledger and the sink are in our memory."""

    server: Server
    ledger: Ledger
    proxy: Proxy
    relayed: Copies
    maildirs: Maildirs
    _load: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def load(self) -> None:
        """Let smtp-source send, through the proxy."""
        await self._load.enter_async_context(sending(STREAMS, self.proxy.port))

    async def quiet(self) -> None:
        """End the load."""
        await self._load.aclose()
        await self.proxy.hang_up()
        if self.proxy.failure is not None:
            raise StuckError(f"the proxy lost the thread: {self.proxy.failure}")

    async def launch(self) -> None:
        """Start the server without waiting for it."""
        await asyncio.to_thread(self.server.launch)

    async def start(self) -> None:
        """Start the server and wait until it is ready. Raises StuckError."""
        try:
            await asyncio.to_thread(self.server.start)
        except AssertionError as error:
            raise StuckError(str(error)) from None

    async def kill(self) -> None:
        """kill -9; what is delivered from now on is of another life."""
        await asyncio.to_thread(self.server.kill)
        self.ledger.kills.append(time.time())

    async def stop(self) -> None:
        """SIGTERM, and wait for its end. Raises StuckError when it was no good one."""
        try:
            status = await asyncio.to_thread(self.server.stop, STOP)
        except subprocess.TimeoutExpired:
            raise StuckError(f"it has not ended {STOP:g} s after SIGTERM") from None
        if status:
            log = self.server.log[-4000:]
            raise StuckError(f"SIGTERM ended it with status {status}\n{log}")

    async def drain(self) -> None:
        """Wait until the running server has delivered everything. Raises StuckError."""
        end = time.monotonic() + IDLE
        while not await asyncio.to_thread(self.server.queue_is_empty):
            if time.monotonic() > end:
                raise StuckError(f"mail is left after {IDLE:g} s\n{self.server.log[-4000:]}")
            await asyncio.sleep(0.1)

    async def audit(self) -> Account:
        """Compare what was promised with what is there; the server should be idle."""
        copies = await asyncio.to_thread(self.maildirs.copies)
        return self.ledger.audit(copies + self.relayed.copies)

    def check_load(self) -> None:
        """Raise StuckError when some kind of mail was never accepted: then it was not tested either."""
        missing = {
            *(f"{user}@{DOMAIN}" for user in USERS),
            *FORWARDED.values(),
        } - self.ledger.reached
        if missing:
            raise StuckError(f"nothing was accepted for {', '.join(sorted(missing))}")

    async def settle(self) -> Account:
        """Audit, and clear the table for what comes next."""
        account = await self.audit()
        self.ledger.settle(account)
        self.relayed.copies.clear()
        await asyncio.to_thread(self.maildirs.empty)
        return account


@asynccontextmanager
async def world(directory: Path, environ: Mapping[str, str] | None = None) -> AsyncIterator[World]:
    """Prepare a server below `directory`, and what watches it; nothing is started yet."""
    ledger = Ledger(FORWARDED)
    async with AsyncExitStack() as stack:
        relayed = Copies()
        sink = await stack.enter_async_context(SmtpSink(relayed.take))
        settings = {
            "log.level": "warning",
            "outbound.smarthost": f"127.0.0.1:{sink.port}",
            "queue.free_space": "1MB",
        }
        server = await asyncio.to_thread(
            prepared, directory / "server", users=USERS, settings=settings, environ=environ
        )
        stack.push_async_callback(asyncio.to_thread, server.close)
        for alias, target in FORWARDED.items():
            added = await asyncio.to_thread(server.command, "alias", "add", alias, target)
            assert added.status == 0, added.output
        proxy = await stack.enter_async_context(Proxy(server.port, ledger.promise))
        running = World(
            server, ledger, proxy, relayed, Maildirs([server.maildir(user) for user in USERS])
        )
        stack.push_async_callback(running.quiet)
        yield running
