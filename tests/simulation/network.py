"""A network in memory: hosts by address, connections that are late, cut in pieces, slow, lost or reset.

    server = network.host("192.0.2.1")            # its weather may be changed at any time
    server.latency, server.pieces = 0.3, 0.9
    server.unplug(); server.plug_in()             # a partition: what is under way waits, for TCP_PATIENCE at most
    server.cut()                                  # the program there is dead: every connection is reset

What a connection is stands in connection.py.
"""

import asyncio
import contextvars
import errno
import socket
from collections.abc import Callable
from typing import cast
from weakref import WeakKeyDictionary

from tests.simulation.chance import Chance
from tests.simulation.connection import End, trouble
from tests.simulation.trace import Trace

SYN_PATIENCE = 127.0  # seconds after which a connection that is not there yet is given up


class Host:
    """A machine. Times in seconds, `rate` octets per second, `pieces` how likely a write is cut into pieces."""

    def __init__(self, network: "Network", address: str) -> None:
        self.network, self.address = network, address
        self.latency = 0.01
        self.jitter = 0.01
        self.rate = 1e7
        self.pieces = 0.1
        self.buffer = 65536
        self.plugged = True  # False: octets to and from it are lost
        self.up = True  # False: nobody answers for this address (EHOSTUNREACH)
        self.ports: dict[int, Listening] = {}
        self.ends: dict[End, None] = {}

    def unplug(self) -> None:
        """Begin a partition."""
        self.plugged = False
        self.network.trace.note(self.address, "unplugged")

    def plug_in(self) -> None:
        """End a partition: what TCP has kept is sent again."""
        self.plugged = True
        self.network.trace.note(self.address, "plugged in")
        self.network.changed()

    def cut(self) -> None:
        """Take the program away: nothing is heard any more here, the others hear resets."""
        self.network.trace.note(self.address, "cut %d connections", len(self.ends))
        self.ports.clear()
        for end in tuple(self.ends):
            end.die()


class Listening(asyncio.AbstractServer):
    """A port that is listened on, in the place of asyncio.Server."""

    def __init__(
        self,
        host: Host,
        port: int,
        factory: Callable[[], asyncio.BaseProtocol],
        context: contextvars.Context,
    ) -> None:
        if port in host.ports:
            raise trouble(errno.EADDRINUSE)
        self.host, self.port, self.factory, self.context = host, port, factory, context
        host.ports[port] = self

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return (self.host.network.socket(self.host.address, self.port),)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self.host.network.loop

    def is_serving(self) -> bool:
        return self.host.ports.get(self.port) is self

    def close(self) -> None:
        if self.is_serving():
            del self.host.ports[self.port]

    async def start_serving(self) -> None:
        """It serves from the beginning."""

    async def serve_forever(self) -> None:
        await self.host.network.loop.create_future()

    async def wait_closed(self) -> None:
        """Connections end on their own."""


class BoundSocket:
    """A socket that is bound to a simulated address: all that a listener asks of it."""

    def __init__(self, address: str, port: int) -> None:
        self._name = (address, port)

    def getsockname(self) -> tuple[str, int]:
        return self._name

    def close(self) -> None:
        """Nothing is open."""


class Network:
    """All hosts. Chance decides on weather; what a program does is its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: Chance, trace: Trace) -> None:
        self.loop, self.trace = loop, trace
        self.chance = chance
        self.dialled: WeakKeyDictionary[socket.socket, End] = WeakKeyDictionary()
        self.context = contextvars.Context()  # what is on the wire belongs to no program
        self.connections = 0
        self.held_up: dict[End, None] = {}  # whose octets a partition keeps
        self._hosts: dict[str, Host] = {}
        self._change = asyncio.Event()
        self._ports = 32768

    def host(self, address: str) -> Host:
        """Give the host of an address; it is there as soon as it is named."""
        if address not in self._hosts:
            self._hosts[address] = Host(self, address)
        return self._hosts[address]

    def socket(self, address: str, port: int) -> socket.socket:
        """Give a socket for `create_server`."""
        return cast(socket.socket, BoundSocket(address, port))

    def changed(self) -> None:
        """Somebody may be reached again: who waits for that looks again."""
        self._change.set()
        self._change = asyncio.Event()
        for end in tuple(self.held_up):
            end.try_again()

    def close(self) -> None:
        """The world ends: nobody has a connection any more."""
        for host in self._hosts.values():
            host.cut()

    async def connect(self, source: Host, address: str, port: int) -> End:
        """Connect two hosts. Raises OSError as the kernel would, after as much time."""
        target = self.host(address)
        try:
            async with asyncio.timeout(SYN_PATIENCE):
                while not (source.plugged and target.plugged):
                    await self._change.wait()
                await asyncio.sleep(2 * (source.latency + target.latency))
        except TimeoutError:
            raise trouble(errno.ETIMEDOUT) from None
        if not target.up:
            await asyncio.sleep(3.0)
            raise trouble(errno.EHOSTUNREACH)
        listening = target.ports.get(port)
        if listening is None:
            self.trace.note(source.address, "refused by %s:%d", address, port)
            raise trouble(errno.ECONNREFUSED)
        return self._join(source, target, listening)

    def _join(self, source: Host, target: Host, listening: Listening) -> End:
        self.connections += 1
        self._ports = 32768 + (self._ports + 1) % 28000
        names = ((source.address, self._ports), (target.address, listening.port))
        weather = self.chance.of("weather", self.connections)
        self.trace.note(source.address, "connected to %s:%d", *names[1])
        near = End(source, names[0], names[1], weather)
        far = End(target, names[1], names[0], weather)
        near.other, far.other = far, near
        listening.context.copy().run(
            lambda: far.attach(listening.factory(), contextvars.copy_context())
        )
        return near
