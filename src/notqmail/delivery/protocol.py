"""aiosmtplib's protocol with a queue of replies, so that commands can be pipelined and data streamed.

The base class keeps one reply for one waiting command and drops every other one. Here replies are cut by our own
parser and wait in order until they are read; one that nobody asked for ends the connection, save a 421, which a
server may send before it closes (RFC 5321 §3.8). Waiting has one timer: it restarts while the peer takes our octets,
so a slow reader is not mistaken for a dead one, and a peer that takes nothing is.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import cast

from aiosmtplib import SMTPReadTimeoutError, SMTPResponse, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol

from notqmail.mail.errors import RemoteProtocolError
from notqmail.mail.reply import Reply
from notqmail.smtp.reply import ReplyParser


class ReplyProtocol(SMTPProtocol):
    """One connection. One task at a time may wait on it. Every wait raises SMTPServerDisconnected when the
    connection is lost, SMTPReadTimeoutError when the time is up, RemoteProtocolError for what is not SMTP."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection_lost_callback: Callable[[SMTPProtocol], None] | None = None,
    ) -> None:
        super().__init__(loop, connection_lost_callback)
        self.last: Reply | None = None  # the reply read last
        self.on_end: Callable[[], None] | None = (
            None  # told once, when no further transaction is possible
        )
        self._parser = ReplyParser()
        self._ready: deque[Reply] = deque()
        self._expected = 1  # replies still to come; the first is the banner
        self._end: Exception | None = None
        self._leaving = False  # an unasked 421 has come
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def usable(self) -> bool:
        """True while the connection is open and in step: nothing is owed, nothing unasked has come."""
        return (
            self._end is None
            and not self._leaving
            and not self._expected
            and self.transport is not None
            and not self.transport.is_closing()
            and not self._parser.pending
        )

    @property
    def answered(self) -> bool:
        """True when a reply waits to be read."""
        return bool(self._ready)

    @property
    def congested(self) -> bool:
        """True when more should be written only after `drain`."""
        return self._paused

    @property
    def engine(self) -> ssl.SSLObject | None:
        """TLS as it is in use, None without."""
        found = self.transport.get_extra_info("ssl_object") if self.transport else None
        return cast(ssl.SSLObject | None, found)

    def send(self, octets: bytes, replies: int) -> None:
        """Write commands that will be answered by so many replies."""
        if self._end is not None:
            raise self._end
        self._expected += replies
        self.write(octets)

    async def reply(self, timeout: float) -> Reply:
        """Read the next reply that is owed."""
        while not self._ready:
            await self._wait(timeout)
        self._expected -= 1
        self.last = self._ready.popleft()
        return self.last

    async def drain(self, timeout: float) -> None:
        """Wait until the peer has taken most of what was written, or a reply has come early; `timeout` is for
        any progress."""
        while self._paused and not self._ready:
            await self._wait(timeout)

    def abort(self) -> None:
        """Cut the connection."""
        if self.transport is not None:
            cast(asyncio.Transport, self.transport).abort()

    # What aiosmtplib calls for the commands that are left to it (EHLO, HELO, STARTTLS, RSET, QUIT)

    async def read_response(self, timeout: float | None = None) -> SMTPResponse:
        assert timeout is not None, "every phase has its time limit"
        reply = await self.reply(timeout)
        return SMTPResponse(reply.code, reply.text)

    async def execute_command(self, *args: bytes, timeout: float | None = None) -> SMTPResponse:
        self._expected += 1
        return await super().execute_command(*args, timeout=timeout)

    async def start_tls(
        self,
        tls_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> SMTPResponse:
        """STARTTLS. What came in clear behind its reply was put there by somebody in between (RFC 3207 §6), so it
        ends the connection."""
        self._expected += 1
        response = await super().start_tls(tls_context, server_hostname, timeout)
        if self._parser.pending or self._ready:
            self._finish(RemoteProtocolError("octets in clear after the reply to STARTTLS"))
            self.abort()
        if self._end is not None:
            raise self._end
        return response

    # What the event loop calls

    def data_received(self, data: bytes) -> None:
        self._parser.feed(data)
        try:
            while (reply := self._parser.next()) is not None:
                self._take(reply)
        except RemoteProtocolError as error:
            self._finish(error)
            self.abort()
        if self._waiter is not None and self._ready:
            self._wake()

    def eof_received(self) -> bool:
        self._finish(SMTPServerDisconnected("the server closed the connection"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._finish(SMTPServerDisconnected("the connection was lost"))

    def resume_writing(self) -> None:
        super().resume_writing()
        self._wake()

    def _take(self, reply: Reply) -> None:
        if len(self._ready) < self._expected:
            self._ready.append(reply)
        elif reply.code == 421 and not self._leaving:
            self._ready.append(reply)
            self._leaving = True
            self._tell()
        else:
            raise RemoteProtocolError(f"a reply that nobody asked for: {reply}")

    def _finish(self, end: Exception) -> None:
        """No more octets will come. What has come can still be read."""
        if self._end is None:
            self._end = end
            self._wake()
            self._tell()

    def _tell(self) -> None:
        tell, self.on_end = self.on_end, None
        if tell is not None:
            tell()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, timeout: float) -> None:
        if self._end is not None:
            raise self._end
        self._waiter = waiter = self._loop.create_future()
        self._arm(timeout)
        try:
            await waiter
        finally:
            self._waiter = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _arm(self, timeout: float) -> None:
        self._timer = self._loop.call_later(timeout, self._expire, timeout, self._backlog())

    def _expire(self, timeout: float, before: int) -> None:
        if self._backlog() < before:
            self._arm(timeout)
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(SMTPReadTimeoutError(f"nothing came for {timeout:g} s"))

    def _backlog(self) -> int:
        """Octets written that the peer has not taken yet."""
        if self.transport is None:
            return 0
        return cast(asyncio.Transport, self.transport).get_write_buffer_size()
