"""The simulated network keeps TCP's promises, and breaks everything else when it is told to."""

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from tests.simulation.connection import TCP_PATIENCE
from tests.simulation.loop import Life, SimulatedLoop, simulate
from tests.simulation.network import Host
from tests.support.clock import DeadlockError

CLIENT, SERVER = "198.51.100.1", "192.0.2.1"
T = TypeVar("T")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Pair:
    """A client connected to a server that does what `serve` says."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self.loop = loop
        self.client: Host = loop.network.host(CLIENT)
        self.server: Host = loop.network.host(SERVER)
        self.here, self.there = Life("client", self.client), Life("server", self.server)
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, serve: Serve) -> None:
        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.there.start(serve(reader, writer))

        await self.there.start(asyncio.start_server(connected, SERVER, 25))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self.here.start(asyncio.open_connection(SERVER, 25))
        self._writers.append(writer)
        return reader, writer


def simulated(main: Callable[[Pair], Coroutine[Any, Any, T]], seed: int = 0) -> T:
    """Run `main` with a pair that is cut in the end."""

    async def begin(loop: SimulatedLoop) -> T:
        pair = Pair(loop)
        try:
            return await main(pair)
        finally:
            await pair.here.end()
            await pair.there.end()

    return simulate(seed, begin)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while octets := await reader.read(1000):
        writer.write(octets)
        await writer.drain()
    writer.close()


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("seed", range(20))
def test_octets_come_in_order_and_once_however_they_are_cut(seed: int) -> None:
    sent = b"".join(b"%d\n" % number for number in range(20_000))

    async def main(pair: Pair) -> bytes:
        pair.client.pieces = pair.server.pieces = 1.0
        await pair.serve(echo)
        reader, writer = await pair.connect()
        writer.write(sent)
        writer.write_eof()
        return await reader.read()

    assert simulated(main, seed) == sent


def test_who_does_not_read_holds_up_who_writes() -> None:
    async def main(pair: Pair) -> None:
        await pair.serve(mute)
        _, writer = await pair.connect()
        writer.write(b"x" * 1_000_000)
        async with asyncio.timeout(1000):
            await writer.drain()

    with pytest.raises(TimeoutError):
        simulated(main)


def test_a_port_that_nobody_listens_on_refuses() -> None:
    async def main(pair: Pair) -> None:
        await pair.connect()

    with pytest.raises(ConnectionRefusedError):
        simulated(main)


def test_a_host_that_is_down_cannot_be_reached() -> None:
    async def main(pair: Pair) -> None:
        pair.server.up = False
        await pair.connect()

    with pytest.raises(OSError, match=os.strerror(errno.EHOSTUNREACH)):
        simulated(main)


def test_what_a_partition_has_held_up_comes_after_it() -> None:
    async def main(pair: Pair) -> tuple[bytes, float]:
        await pair.serve(echo)
        reader, writer = await pair.connect()
        pair.server.unplug()
        writer.write(b"hello")
        pair.loop.call_later(300, pair.server.plug_in)
        return await reader.readexactly(5), pair.loop.time()

    octets, at = simulated(main)
    assert octets == b"hello"
    assert 300 < at < 301


def test_a_long_partition_ends_the_connection_of_who_has_written() -> None:
    async def main(pair: Pair) -> float:
        await pair.serve(echo)
        reader, writer = await pair.connect()
        pair.server.unplug()
        writer.write(b"hello")
        with pytest.raises(TimeoutError):
            await reader.read()
        return pair.loop.time()

    assert TCP_PATIENCE < simulated(main) < TCP_PATIENCE + 1


def test_the_connections_of_a_program_that_is_killed_are_reset() -> None:
    async def main(pair: Pair) -> None:
        await pair.serve(mute)
        reader, _ = await pair.connect()
        await pair.there.end()
        await reader.read()

    with pytest.raises(ConnectionResetError):
        simulated(main)


def test_a_program_that_is_killed_says_nothing_more() -> None:
    said: list[str] = []

    async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asyncio.get_running_loop().call_later(60, said.append, "a timer")
        try:
            await asyncio.Event().wait()
        finally:
            writer.write(b"goodbye")
            writer.close()

    async def main(pair: Pair) -> bytes:
        await pair.serve(polite)
        reader, _ = await pair.connect()
        await asyncio.sleep(1)
        await pair.there.end()
        try:
            return await reader.read()
        except ConnectionResetError:
            await asyncio.sleep(100)
            return b"reset"

    assert simulated(main) == b"reset"
    assert said == []


def test_octets_for_who_has_closed_are_answered_with_a_reset() -> None:
    async def brief(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")
        writer.close()

    async def main(pair: Pair) -> bytes:
        await pair.serve(brief)
        reader, writer = await pair.connect()
        heard = await reader.read()
        writer.write(b"are you there?")
        await asyncio.sleep(1)
        writer.write(b"?")
        with pytest.raises(ConnectionError):
            await writer.drain()
        return heard

    assert simulated(main) == b"bye"


def test_jobs_run_in_the_order_in_which_they_were_handed_in() -> None:
    order: list[int] = []

    async def main(loop: SimulatedLoop) -> None:
        await asyncio.gather(*(loop.run_in_executor(None, order.append, n) for n in range(50)))

    simulate(0, main)
    assert order == list(range(50))


def test_tasks_hash_by_their_number() -> None:
    async def main(loop: SimulatedLoop) -> list[int]:
        tasks = [loop.create_task(asyncio.sleep(0)) for _ in range(3)]
        await asyncio.gather(*tasks)
        first = hash(tasks[0])
        return [hash(task) - first for task in tasks]

    assert simulate(0, main) == [0, 1, 2]


def test_a_world_in_which_nothing_can_happen_any_more_is_an_error() -> None:
    async def main(loop: SimulatedLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        simulate(0, main)
