"""Accounts of Dovecot, asked over its authentication socket."""

import asyncio
import logging
import os
from typing import Any, cast

from notqmail.auth.credentials import Credentials, login_of
from notqmail.auth.dovecot import Accepted, Parser, Ready, Refused, cancel, greeting, request
from notqmail.config import Dovecot
from notqmail.mail.errors import AuthUnavailableError, RemoteProtocolError
from notqmail.mail.login import Attempt, Login

_log = logging.getLogger(__name__)
_UNREAD = 64 << 10  # octets that Dovecot may leave unread; over it: 454

Verdict = Accepted | Refused


class DovecotAuthenticator:
    """passwords_only.PasswordSource. One connection for all logins, made when it is needed first and whenever it was lost. Dovecot
    gets the name as it was sent and says what the account is called; `realm` completes an address of a bare one."""

    def __init__(self, config: Dovecot, realm: str, waiting: int) -> None:
        self._config, self._realm, self._waiting = config, realm, waiting
        self._asking = 0
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()

    async def password(self, user: str, password: str, attempt: Attempt) -> Login | None:
        if (sent := Credentials.of(user, password)) is None:
            return None
        if self._asking >= self._waiting:
            raise AuthUnavailableError(f"Dovecot: more than {self._waiting} logins wait")
        self._asking += 1
        try:
            async with asyncio.timeout(self._config.timeout):
                verdict = await self._ask(sent, attempt)
        except TimeoutError:
            timeout = self._config.timeout
            raise AuthUnavailableError(f"Dovecot did not answer within {timeout:g} s") from None
        finally:
            self._asking -= 1
        if isinstance(verdict, Accepted):
            return login_of(verdict.user or user, self._realm)
        if verdict.temporary:
            raise AuthUnavailableError("Dovecot cannot tell now; its log says why")
        return None

    async def _ask(self, sent: Credentials, attempt: Attempt) -> Verdict:
        connection = await self._connected()
        try:
            return await connection.ask(sent, attempt)
        except AuthUnavailableError:
            if not connection.lost:
                raise
        # Dovecot was restarted meanwhile: the new one may know
        return await (await self._connected()).ask(sent, attempt)

    async def _connected(self) -> "_Connection":
        async with self._connecting:
            if self._connection is None or self._connection.lost:
                self._connection = await self._connect()
            return self._connection

    async def _connect(self) -> "_Connection":
        loop, path = asyncio.get_running_loop(), self._config.socket
        try:
            _, connection = await loop.create_unix_connection(_Connection, path)
        except OSError as error:
            why = error.strerror or str(error)
            raise AuthUnavailableError(f"Dovecot cannot be asked at {path}: {why}") from None
        try:
            await connection.ready
        except BaseException:
            connection.abort()
            raise
        return connection

    async def close(self) -> None:
        """End the connection; logins under way get AuthUnavailableError."""
        if self._connection is not None:
            self._connection.abort()


class _Connection(asyncio.Protocol):
    """One connection, for any number of requests at once."""

    def __init__(self) -> None:
        self.lost = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parser = Parser()
        self._transport: asyncio.Transport
        self._answers: dict[int, asyncio.Future[Verdict]] = {}
        self._last_id = 0
        self._why = "the connection was closed"

    async def ask(self, sent: Credentials, attempt: Attempt) -> Verdict:
        """Send a request and wait for its answer. Raises AuthUnavailableError when the connection is lost before."""
        if self.lost:
            raise AuthUnavailableError(f"Dovecot: {self._why}")
        if self._transport.get_write_buffer_size() > _UNREAD:
            raise AuthUnavailableError("Dovecot does not read what it is asked")
        self._last_id = id = self._last_id % 0xFFFF_FFFF + 1
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._answers[id] = answer
        try:
            self._transport.write(request(id, sent, attempt))
            return await answer
        finally:
            if self._answers.pop(id, None) is not None and not self.lost:
                self._transport.write(cancel(id))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio.Transport in all but inheritance
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(greeting(os.getpid()))

    def data_received(self, octets: bytes) -> None:
        try:
            for event in self._parser.feed(octets):
                if isinstance(event, Ready):
                    if not self.ready.done():
                        self.ready.set_result(None)
                elif (answer := self._answers.pop(event.id, None)) and not answer.done():
                    answer.set_result(event)
        except RemoteProtocolError as error:
            _log.error("no talking to Dovecot error=%r", str(error))
            self._why = str(error)
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._end()

    def abort(self) -> None:
        """Close at once."""
        self._end()
        self._transport.abort()

    def _end(self) -> None:
        self.lost = True
        waiting: list[asyncio.Future[Any]] = [self.ready, *self._answers.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(AuthUnavailableError(f"Dovecot: {self._why}"))
                future.exception()  # seen, though nobody may wait for it any longer
        self._answers.clear()
