"""A session with one server: connect, banner, EHLO, STARTTLS. Transactions are in transaction.py, the login in login.py.

aiosmtplib does banner, EHLO, HELO, STARTTLS, RSET and QUIT; the socket is ours (source address, time limit), and so is
the protocol. What TLS a session is to have is said by who asks for it, and what came of it stands in its `protection`; a
session that is not good enough is for others to refuse.
"""

import ssl
from dataclasses import dataclass
from typing import Any

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
from notqmail.delivery.tls import names_of, proved
from notqmail.mail.protection import Level, Protection
from notqmail.mail.reply import Reply
from notqmail.smtp.extension import parse_ehlo


@dataclass(frozen=True, slots=True)
class Tls:
    """What TLS a session is to have. `context` None is none; `implicit` from the first octet. `names` and `domain` say
    whose certificate is a valid one; `why` it is not to be better than it is."""

    context: ssl.SSLContext | None = None
    implicit: bool = False
    names: tuple[str, ...] = ()
    domain: str = ""
    why: str = ""


class Client(aiosmtplib.SMTP):
    """aiosmtplib's client on our protocol, whose class it names in a private method only. `handshake` are further
    arguments of create_connection, for TLS from the first octet."""

    replies: ReplyProtocol | None = None  # stays after the end, for the last reply
    handshake: "dict[str, Any]" = {}  # noqa: RUF012 - replaced as a whole, never changed

    async def _create_connection(self, timeout: float | None) -> SMTPResponse:
        assert self.loop is not None
        assert self.sock is not None
        protocol = ReplyProtocol(self.loop, self._on_connection_lost)
        self.transport, _ = await self.loop.create_connection(
            lambda: protocol, sock=self.sock, **self.handshake
        )
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
        self.protection = Protection(Level.CLEAR)
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

    async def start_tls(self, tls: Tls) -> None:
        """Turn TLS on, where it is offered; a server that then refuses it stays in clear. Raises TlsFailedError."""
        if tls.context is None:
            self.protection = Protection(Level.CLEAR, why=tls.why)
            return
        if not self.features.starttls:
            self.protection = Protection(Level.CLEAR, why="STARTTLS is not offered")
            return
        try:
            await self._client.starttls(
                tls_context=tls.context,
                server_hostname=self.peer.host,
                timeout=self._outbound.connect_timeout,
            )
            self.assess(tls)
            await self.hello()
        except SMTPResponseException as error:
            if self.protection.version or error.code == 421:
                raise
            said = self.protocol.last
            self.protection = Protection(Level.CLEAR, why=f"STARTTLS was refused: {said}")
        except (*TROUBLES, ValueError) as error:  # ValueError: a name that SNI cannot have
            raise TlsFailedError(_as_trouble(error), self.peer) from error

    def assess(self, tls: Tls) -> None:
        """Note what the handshake has brought."""
        engine = self.protocol.engine
        if engine is None:  # lost since: who waits for the next reply is told
            return
        version, cipher = str(engine.version()), (engine.cipher() or ("",))[0]
        certificate = engine.getpeercert()  # None or empty unless its chain was verified
        if not certificate:
            self.protection = Protection(Level.UNVERIFIED, version, cipher, tls.why)
        elif name := proved(certificate, tls.names, self.peer.host, tls.domain):
            self.protection = Protection(Level.VERIFIED, version, cipher, f"as {name}")
        else:
            why = f"its certificate is for {names_of(certificate)}"
            self.protection = Protection(Level.UNVERIFIED, version, cipher, why)

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
    peer: Candidate, outbound: Outbound, hostname: str, source: str, tls: Tls
) -> Connection:
    """Connect and greet, from the address `source` ("" is the system's choice). Raises UnreachableError or
    TlsFailedError."""
    try:
        sock = await dial(peer, source, outbound.connect_timeout)
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
    if tls.implicit:
        client.handshake = {
            "ssl": tls.context,
            "server_hostname": peer.host,
            "ssl_handshake_timeout": outbound.connect_timeout,
        }
    opened = False
    try:
        connection = await _greet(client, peer, outbound, tls)
        opened = True
        return connection
    finally:
        if not opened and client.replies is not None:
            client.replies.abort()
            client.close()
        elif not opened:
            sock.close()


async def _greet(client: Client, peer: Candidate, outbound: Outbound, tls: Tls) -> Connection:
    phase = "waiting for the banner"
    try:
        await client.connect()
        assert client.replies is not None
        phase = "greeting"
        connection = Connection(peer, client, client.replies, outbound)
        if tls.implicit:
            connection.assess(tls)
        await connection.hello()
        if not tls.implicit:
            await connection.start_tls(tls)
    except SMTPResponseException as error:
        raise _refused(client, error) from error
    except (*TROUBLES, ValueError) as error:
        if client.replies is None:  # only a handshake comes before the banner
            raise TlsFailedError(_as_trouble(error), peer) from error
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
    """A name that SNI cannot have is a ValueError; so is a certificate that is not valid, which stays what it is."""
    if isinstance(error, ValueError) and not isinstance(error, ssl.SSLError):
        return SMTPServerDisconnected(str(error))
    return error
