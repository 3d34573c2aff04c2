"""Load from Postfix's smtp-source. It gives up when its connection breaks, so it is started again until told to stop."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from tests.support.programs import environment, postfix_program

MESSAGES = 100_000  # of one run of smtp-source: a load has an end even when nobody ends it
PAUSE = 0.05  # seconds before it is started again


@dataclass(frozen=True, slots=True)
class Stream:
    """Messages of one kind: `sessions` at once, `octets` each, to one or `recipients` numbered recipients."""

    to: str
    sessions: int
    octets: int = 4096
    recipients: int = 1
    kept: bool = False  # connections are kept for the next message

    def command(self, port: int) -> Sequence[str]:
        return [
            postfix_program("smtp-source"),
            *(["-d"] if self.kept else []),
            *("-s", str(self.sessions), "-m", str(MESSAGES), "-l", str(self.octets)),
            *("-r", str(self.recipients)),
            *("-f", "load@sender.example", "-t", self.to, f"127.0.0.1:{port}"),
        ]


@asynccontextmanager
async def sending(streams: Iterable[Stream], port: int) -> AsyncIterator[None]:
    """Send to 127.0.0.1:`port` until the block ends."""
    running = [asyncio.create_task(_send(stream.command(port))) for stream in streams]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _send(command: Sequence[str]) -> None:
    while True:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment(),
        )
        try:
            await process.wait()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await asyncio.sleep(PAUSE)
