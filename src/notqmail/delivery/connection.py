"""A session with one server: connect, banner, EHLO, STARTTLS. Transactions are in transaction.py.

aiosmtplib does banner, EHLO, HELO, STARTTLS, RSET and QUIT; the socket is ours (source address, time limit), and so is
the protocol. TLS is opportunistic: it protects from who only listens, so no certificate is verified, and when it fails
the mail goes in clear over a new connection (RFC 7435, RFC 3207 §4.1).
"""

import ssl

import aiosmtplib
from aiosmtplib import (
    SMTPConnectResponseError,
    SMTPException,
    SMTPHeloError,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from aiosmtplib.response import SMTPResponse

from notqmail.config import Outbound
from notqmail.delivery.dial import dial
from notqmail.delivery.features import Features
from notqmail.delivery.mx import Candidate
from notqmail.delivery.protocol import ReplyProtocol
from notqmail.delivery.session_error import TROUBLES, TlsFailedError, UnreachableError, describe
from notqmail.mail.reply import Reply
from notqmail.smtp.extension import parse_ehlo


class Client(aiosmtplib.SMTP):
    """aiosmtplib's client on our protocol, whose class it names in a private method only."""

    replies: ReplyProtocol | None = None  # stays after the end, for the last reply

    async def _create_connection(self, timeout: float | None) -> SMTPResponse:
        assert self.loop is not None
        assert self.sock is not None
        protocol = ReplyProtocol(self.loop, self._on_connection_lost)
        self.transport, _ = await self.loop.create_connection(lambda: protocol, sock=self.sock)
        self.protocol = self.replies = protocol
        response = await protocol.read_response(timeout)
        if response.code != 220:
            raise SMTPConnectResponseError(response.code, response.message)
        return response


class Connection:
    """An open session. `left` counts the transactions that it may still carry, `used` those it has carried."""

    def __init__(
        self, peer: Candidate, client: Client, protocol: ReplyProtocol, outbound: Outbound
    ) -> None:
        self.peer = peer
        self.protocol = protocol
        self.features = Features()
        self.tls = ""
        self.used = 0
        self.in_transaction = False  # MAIL was sent and its end, or RSET, has not been acknowledged
        self._client = client
        self._outbound = outbound

    @property
    def usable(self) -> bool:
        """True when another transaction can start now."""
        return self.left > 0 and not self.in_transaction and self.protocol.usable

    @property
    def left(self) -> int:
        return min(self._outbound.reuse, self.features.messages) - self.used

    async def hello(self) -> None:
        """Say EHLO, or HELO where that is refused (RFC 5321 §3.2); learn what the server offers."""
        try:
            await self._client.ehlo(timeout=self._outbound.command_timeout)
        except SMTPHeloError as error:
            if not 500 <= error.code < 600:
                raise
            await self._client.helo(timeout=self._outbound.command_timeout)
            self.features = Features()
            return
        assert self.protocol.last is not None
        self.features = Features.of(parse_ehlo(self.protocol.last))

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Turn TLS on; a server that offers it and refuses it is served in clear. Raises TlsFailedError."""
        try:
            await self._client.starttls(
                tls_context=context,
                server_hostname=self.peer.host,
                timeout=self._outbound.connect_timeout,
            )
            self.tls = self.protocol.tls
            await self.hello()
        except SMTPResponseException as error:
            if self.tls or error.code == 421:
                raise
        except (*TROUBLES, ValueError) as error:  # ValueError: a name that SNI cannot have
            raise TlsFailedError(describe(_as_trouble(error), self.peer, "starting TLS")) from error

    async def reset(self) -> None:
        """Leave a transaction that came to nothing, so that the next may start."""
        try:
            await self._client.rset(timeout=self._outbound.command_timeout)
        except (SMTPException, *TROUBLES):
            self.abort()
        else:
            self.in_transaction = False

    async def quit(self) -> None:
        """Take leave and close; never raises for what the peer does."""
        try:
            await self._client.quit(timeout=self._outbound.quit_timeout)
        except (SMTPException, *TROUBLES):
            pass  # it is over either way
        finally:
            self.abort()

    def abort(self) -> None:
        """Cut the connection without a word: the peer must not take what it has for a whole message."""
        self.protocol.abort()
        self._client.close()


async def open_connection(
    peer: Candidate, outbound: Outbound, hostname: str, context: ssl.SSLContext | None
) -> Connection:
    """Connect and greet; `context` None is without TLS. Raises UnreachableError or TlsFailedError."""
    try:
        sock = await dial(peer, outbound)
    except OSError as error:
        why = "timed out" if isinstance(error, TimeoutError) else error.strerror or "failed"
        raise UnreachableError(Reply(451, "4.4.1", f"connecting to {peer}: {why}")) from error
    client = Client(
        hostname=peer.host,
        sock=sock,
        local_hostname=hostname,
        start_tls=False,
        timeout=outbound.banner_timeout,
    )
    opened = False
    try:
        connection = await _greet(client, peer, outbound, context)
        opened = True
        return connection
    finally:
        if not opened and client.replies is not None:
            client.replies.abort()
            client.close()
        elif not opened:
            sock.close()


async def _greet(
    client: Client, peer: Candidate, outbound: Outbound, context: ssl.SSLContext | None
) -> Connection:
    phase = "waiting for the banner"
    try:
        await client.connect()
        assert client.replies is not None
        phase = "greeting"
        connection = Connection(peer, client, client.replies, outbound)
        await connection.hello()
        if context is not None and connection.features.starttls:
            await connection.start_tls(context)
    except SMTPResponseException as error:
        raise _refused(client, error) from error
    except TROUBLES as error:
        raise UnreachableError(describe(error, peer, phase)) from error
    if client.replies.answered:  # it says more than it was asked
        raise UnreachableError(await client.replies.reply(0), heard=True)
    return connection


def _refused(client: Client, error: SMTPResponseException) -> UnreachableError:
    """A banner or a reply to EHLO that is a refusal; one that makes no sense is the peer's fault, for now."""
    reply = client.replies.last if client.replies is not None else None
    if reply is None or not (reply.transient or reply.permanent):
        return UnreachableError(
            Reply(451, "4.5.0", f"unexpected reply: {error.code} {error.message}")
        )
    return UnreachableError(reply, heard=True)


def _as_trouble(error: Exception) -> Exception:
    return SMTPServerDisconnected(str(error)) if isinstance(error, ValueError) else error
