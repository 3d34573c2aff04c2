"""Logging in to a smarthost: AUTH (RFC 4954) over a session whose certificate was verified.

A login that is refused is our trouble, not the message's: mail waits, and the log says what to do. The password stands
in no log line and no reply; what a server says is repeated only where the password is not in it.
"""

import asyncio
import base64
import binascii
import logging
import secrets

from notqmail.auth.sasl_client import ClientExchange, client_exchange, strongest
from notqmail.delivery.connection import Connection
from notqmail.delivery.session_error import TROUBLES, UnreachableError, describe
from notqmail.delivery.terms import Account
from notqmail.delivery.tls import end_point
from notqmail.log import event
from notqmail.mail.protection import Level
from notqmail.mail.reply import Reply

MAX_LINE = 512  # octets of a command, RFC 4954 §4 after RFC 5321 §4.5.3.1.4

_log = logging.getLogger(__name__)


class LoginRefusedError(UnreachableError):
    """The server knows us not: to ask again soon would only lock us out."""


async def log_in(connection: Connection, account: Account, timeout: float) -> None:
    """Prove who we are; `timeout` seconds for each reply. Raises UnreachableError or LoginRefusedError."""
    if connection.protection.level is not Level.VERIFIED:
        raise AssertionError("a password goes only over verified TLS")
    peer, offered = connection.peer, connection.features.auth
    engine = connection.protocol.engine
    binding = end_point(engine.getpeercert(binary_form=True)) if engine is not None else None
    mechanism = strongest(offered, account.mechanisms, bound=binding is not None)
    if mechanism is None:
        there = " ".join(offered) or "no login"
        raise _failed(f"{peer} offers {there[:200]}, nothing of which may be used")
    if any(name.endswith("-PLUS") for name in offered) and not mechanism.endswith("-PLUS"):
        binding = None  # RFC 5802 §6: "y" would say that we were offered none
    try:
        exchange = client_exchange(
            mechanism,
            account.user,
            account.password.reveal(),
            binding,
            secrets.token_urlsafe(24),
        )
        reply = await _Dialogue(connection, exchange, timeout).run(mechanism)
    except ValueError as error:  # never holds a secret
        raise _failed(f"login at {peer} by {mechanism}: {error}") from None
    except TROUBLES as error:
        raise UnreachableError(describe(error, peer, "logging in")) from None
    _judge(connection, account, mechanism, exchange, reply)


class _Dialogue:
    """AUTH, its challenges, and the reply that ends them."""

    def __init__(self, connection: Connection, exchange: ClientExchange, timeout: float) -> None:
        self._protocol, self._exchange, self._timeout = connection.protocol, exchange, timeout

    async def run(self, mechanism: str) -> Reply:
        """Give the last reply. Raises ValueError after telling the server that we give up."""
        first = None if mechanism == "LOGIN" else self._exchange.respond(None)
        command = f"AUTH {mechanism}".encode()
        if (
            first is not None
            and len(with_first := b"%b %b\r\n" % (command, _encode(first))) <= MAX_LINE
        ):
            command, first = with_first[:-2], None
        reply = await self._say(command)
        while reply.code == 334:  # as often as the mechanism has an answer
            try:
                answer, first = first or await self._answer(reply), None
            except ValueError:
                await self._say(b"*")
                raise
            reply = await self._say(_encode(answer))
        return reply

    async def _answer(self, reply: Reply) -> bytes:
        try:
            challenge = base64.b64decode(reply.text, validate=True)
        except binascii.Error:
            raise ValueError("the server's challenge is not base64") from None
        # in a thread: the server says how long it takes to derive the keys of SCRAM
        return await asyncio.to_thread(self._exchange.respond, challenge)

    async def _say(self, line: bytes) -> Reply:
        self._protocol.send(line + b"\r\n", 1)
        return await self._protocol.reply(self._timeout)


def _judge(
    connection: Connection,
    account: Account,
    mechanism: str,
    exchange: ClientExchange,
    reply: Reply,
) -> None:
    peer, user = connection.peer, account.user
    if reply.code == 235 and exchange.complete:
        event(_log, "logged-in", host=peer.host, user=user, mechanism=mechanism)
        return
    if reply.code == 235:
        raise _failed(f"{peer} let us in without showing that it knows the password")
    said = _harmless(reply, account)
    event(
        _log,
        "login-refused",
        level=logging.WARNING,
        host=peer.host,
        user=user,
        mechanism=mechanism,
        reply=said,
    )
    if reply.permanent:
        raise LoginRefusedError(Reply(451, "4.7.8", f"{peer} refuses our login: {said}"))
    raise _failed(f"{peer} cannot take our login now: {said}")


def _failed(why: str) -> UnreachableError:
    return UnreachableError(Reply(451, "4.7.0", why))


def _harmless(reply: Reply, account: Account) -> str:
    """What a server said, unless it repeats the password in some form."""
    said, password = str(reply), account.password.reveal()
    raw = password.encode(), f"\0{account.user}\0{password}".encode()
    if any(form in said for form in (password, *(_encode(each).decode() for each in raw))):
        return str(reply.code)
    return said


def _encode(octets: bytes) -> bytes:
    return base64.b64encode(octets)
