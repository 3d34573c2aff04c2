"""An injection socket served in a thread of its own, for commands that run in the test's."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from notqmail.config import Local
from notqmail.system.inject import InjectServer
from tests.support.submitting import Submissions


@contextmanager
def injecting(data: Path, queue: Submissions) -> Iterator[None]:
    """Serve DIR/data/inject.sock until the block ends."""
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        server = InjectServer(data / "inject.sock", queue.submit, "mx.example.org", Local())
        await server.start()
        started.set()
        await stop.wait()
        await server.stop()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
