"""What receiving costs: SMTP session, dialogue, pipeline and intake, over a connection in memory; nothing is kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from notqmail.app.server import Server
from notqmail.smtpd.session import SmtpSession
from tests.bench.cost.client import Client, connect
from tests.bench.cost.shape import Shape, Work
from tests.bench.cost.world import FrontWorld, serving

KEPT = 50  # messages over one connection


async def _session(server: Server, messages: int) -> None:
    client, listener = Client(messages), server.listeners["mx"]
    connect(client, SmtpSession(listener.service, listener.registry))
    await client.ended


@asynccontextmanager
async def _one_each(directory: Path) -> AsyncIterator[Work]:
    async with serving(FrontWorld(), directory) as server:

        async def work(messages: int) -> None:
            for _ in range(messages):
                await _session(server, 1)

        yield work


@asynccontextmanager
async def _kept(directory: Path) -> AsyncIterator[Work]:
    async with serving(FrontWorld(), directory) as server:

        async def work(messages: int) -> None:
            for _ in range(messages // KEPT):
                await _session(server, KEPT)

        yield work


RECEIVE = Shape("receive", "SMTP to the intake, one connection for each message", 40, _one_each)
KEPT_OPEN = Shape("receive-kept", f"the same, {KEPT} messages over a connection", 50, _kept)
