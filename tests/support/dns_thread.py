"""The DNS server of the tests in a thread with a loop of its own: for tests that themselves block."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from tests.support.dns import DnsServer, Zones


@contextmanager
def dns_serving(zones: Zones, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Answer with these zones and give the "address:port" to ask. Raises OSError when the port is not free."""
    address: Future[str] = Future()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with DnsServer(zones, host=host, port=port) as server:
            address.set_result(server.address)
            await over.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            address.set_exception(error)
            raise
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="dns")
    thread.start()
    try:
        yield address.result(10)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
