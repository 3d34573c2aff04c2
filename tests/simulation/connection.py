"""One connection of the simulated network, seen from its two ends.

An `End` is what a program sees of it, an asyncio transport. TCP's promise is kept: octets come in order, once, or the
connection is lost; everything else is weather. What was written lies in the kernel's buffer (`Host.buffer` octets)
before it lies in the program's, as with real sockets, so a reply can be lost that was written in full.
"""

import asyncio
import contextvars
import errno
import os
import random
import socket
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from tests.simulation.network import Host

# seconds without any answer after which a connection is given up (Linux, tcp_retries2)
TCP_PATIENCE = 924.0
MOST_AT_ONCE = 16384  # octets that come in one piece
_NEAR = 1e-6  # seconds between two pieces at least: timers of one moment have no order


class Mark(Enum):
    """What is sent besides octets."""

    END = "FIN"
    RESET = "RST"


Piece = bytes | Mark


def trouble(number: int) -> OSError:
    """Make the error that the kernel would give."""
    return OSError(number, os.strerror(number))


class End(asyncio.Transport):
    """One end of a connection."""

    other: "End"

    def __init__(
        self, host: "Host", local: tuple[str, int], remote: tuple[str, int], weather: random.Random
    ) -> None:
        super().__init__({"sockname": local, "peername": remote})
        self.host = host
        host.ends[self] = None
        self._loop, self._network = host.network.loop, host.network
        self._weather = weather
        self._context = host.network.context
        self._protocol: asyncio.Protocol | None = None
        self._sock: socket.socket | None = None
        self._high, self._low = 65536, 16384
        # what goes out
        self._flight: deque[tuple[Piece, asyncio.TimerHandle | None]] = deque()
        self._arrival = 0.0
        self._pending = 0
        self._stopped = False  # the protocol was told to write no more
        self._ended = False  # our FIN is sent
        self._given_up: asyncio.TimerHandle | None = None
        # what comes in
        self._held: deque[Piece] = deque()
        self._reading = False
        self._flushing = False
        # the end
        self._closing = False
        self.gone = False

    # -- asyncio.Transport --------------------------------------------------------------------------------------

    def attach(
        self,
        protocol: asyncio.BaseProtocol,
        context: contextvars.Context,
        sock: socket.socket | None = None,
    ) -> None:
        """Give the connection to a protocol, whose callbacks run in `context`."""
        self._protocol, self._context, self._sock = cast(asyncio.Protocol, protocol), context, sock
        self._tell(self._begin)

    def _begin(self) -> None:
        self._attached.connection_made(self)
        self._reading = True
        self._flush_soon()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or self.gone or self._ended or not data:
            return
        for piece in self._cut(bytes(data)):
            self._send(piece)
        self._pending += len(data)
        if not self._stopped and self.get_write_buffer_size() > self._high:
            self._stopped = True
            self._attached.pause_writing()  # at once, as ever: drain() comes next

    def get_write_buffer_size(self) -> int:
        return max(0, self._pending - self.host.buffer)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 65536 if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def write_eof(self) -> None:
        if not (self._ended or self._closing or self.gone):
            self._ended = True
            self._send(Mark.END)

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._flush_soon()

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def is_closing(self) -> bool:
        return self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._attached

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._held:  # unread octets: the kernel resets
            self._send(Mark.RESET)
        elif not self._ended:
            self._send(Mark.END)
        self._close_if_empty()

    def abort(self) -> None:
        """Close; what the kernel has not got yet is never sent."""
        if self.gone:
            return
        self._drop_unsent()
        self._closing = True
        self._send(Mark.RESET if self._held else Mark.END)
        self._finish(None)

    # -- the network's side -------------------------------------------------------------------------------------

    def die(self) -> None:
        """The program is dead. Its protocol hears nothing any more; the other side hears a reset."""
        if self.gone:
            return
        self._drop_unsent()
        self._closing = True
        self._protocol = None
        self._send(Mark.RESET)
        self._finish(None)

    def try_again(self) -> None:
        """Send again what a partition has held up."""
        if self._given_up is None or not (self.host.plugged and self.other.host.plugged):
            return
        self._given_up.cancel()
        self._given_up = None
        del self._network.held_up[self]
        held = [piece for piece, _ in self._flight]
        self._drop_flight()
        for piece in held:
            self._send(piece)

    @property
    def _attached(self) -> asyncio.Protocol:
        assert self._protocol is not None
        return self._protocol

    def _tell(self, callback: Callable[..., object], *args: object) -> None:
        self._loop.call_soon(callback, *args, context=self._context)

    def _cut(self, data: bytes) -> Iterator[bytes]:
        """Cut a write into pieces, sometimes octet by octet."""
        least, most = MOST_AT_ONCE, MOST_AT_ONCE
        if self._weather.random() < self.host.pieces:
            least, most = 1, 1460
            if len(data) < 400:
                most = self._weather.choice((1, 2, 7, 536))
        while data:
            size = self._weather.randint(least, most)
            yield data[:size]
            data = data[size:]

    def _send(self, piece: Piece) -> None:
        """Put a piece on the wire."""
        if self._given_up is not None:
            self._flight.append((piece, None))
            return
        here, there, now = self.host, self.other.host, self._loop.time()
        size = len(piece) if isinstance(piece, bytes) else 40
        late = here.latency + there.latency + (here.jitter + there.jitter) * self._weather.random()
        self._arrival = max(self._arrival + _NEAR, now + late) + size / min(here.rate, there.rate)
        timer = self._loop.call_at(self._arrival, self._arrive, context=self._network.context)
        self._flight.append((piece, timer))

    def _arrive(self) -> None:
        """The first piece in flight is there, or nearly."""
        if not (self.host.plugged and self.other.host.plugged):
            if self._given_up is None:
                self._network.held_up[self] = None
                self._given_up = self._loop.call_later(
                    TCP_PATIENCE, self._give_up, context=self._network.context
                )
                for _, timer in self._flight:
                    if timer is not None:
                        timer.cancel()
            return
        piece, _ = self._flight.popleft()
        self.other.take(piece)

    def take(self, piece: Piece) -> None:
        """A piece has come."""
        if piece is Mark.RESET:
            self._held.clear()
            self._lose(trouble(errno.ECONNRESET))
        elif self.gone:
            if isinstance(piece, bytes):
                self.other.acknowledge(len(piece))
                self._send(Mark.RESET)
        else:
            self._held.append(piece)
            self._flush()

    def acknowledge(self, octets: int) -> None:
        """The other side has taken octets of ours."""
        self._pending -= octets
        if self._closing:
            self._close_if_empty()
        elif self._stopped and self.get_write_buffer_size() <= self._low:
            self._stopped = False
            self._tell(self._attached.resume_writing)

    def _flush_soon(self) -> None:
        if self._held and not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush_now, context=self._network.context)

    def _flush_now(self) -> None:
        self._flushing = False
        self._flush()

    def _flush(self) -> None:
        """Hand what has come to the protocol, as long as it reads."""
        while self._held and self._reading and not self._closing and not self.gone:
            piece = self._held.popleft()
            if isinstance(piece, bytes):
                self.other.acknowledge(len(piece))
                self._context.copy().run(self._attached.data_received, piece)
            elif not self._context.copy().run(self._attached.eof_received):
                self.close()

    def _close_if_empty(self) -> None:
        if not self.gone and not self.get_write_buffer_size():
            self._finish(None)

    def _give_up(self) -> None:
        del self._network.held_up[self]
        self._given_up = None
        self._lose(trouble(errno.ETIMEDOUT))

    def _lose(self, error: OSError) -> None:
        self._drop_flight()
        self._closing = True
        self._finish(error)

    def _finish(self, error: OSError | None) -> None:
        """The program has no connection any more; what the kernel has is still sent."""
        if self.gone:
            return
        self.gone = True
        del self.host.ends[self]
        if self._protocol is not None:
            self._tell(self._protocol.connection_lost, error)
        if self._sock is not None:
            self._sock.close()

    def _drop_unsent(self) -> None:
        """Forget what has not got into the kernel's buffer."""
        while self._flight and (over := self.get_write_buffer_size()):
            piece, timer = self._flight.pop()
            if timer is not None:
                timer.cancel()
            if isinstance(piece, bytes):
                self._pending -= len(piece)
                if len(piece) > over:
                    kept = piece[:-over]
                    self._pending += len(kept)
                    self._send(kept)

    def _drop_flight(self) -> None:
        for _, timer in self._flight:
            if timer is not None:
                timer.cancel()
        self._flight.clear()
