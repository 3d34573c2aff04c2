"""Logging in: one AUTH exchange after another, until one succeeds or the client has had enough of them (RFC 4954).

A mechanism (auth/sasl) takes decoded responses and gives steps; here is what is SMTP about it: base64, 334, cancelling
with `*`, the replies, and the wait that a failure costs. Passwords pass through here: nothing of what a client sent in
an exchange is logged or answered.
"""

import asyncio
import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from notqmail.auth.sasl import Challenge, Exchange, Failure, Reason, Step, Success
from notqmail.log import event
from notqmail.mail.errors import AuthUnavailableError
from notqmail.mail.login import Attempt, Login
from notqmail.mail.reply import Reply
from notqmail.policy.evidence import Decision
from notqmail.policy.transaction import Session
from notqmail.policy.verdict import Accept, Reject
from notqmail.smtp import command as smtp
from notqmail.smtpd import replies

_log = logging.getLogger("notqmail.smtpd")

MAX_LINE = 12288  # octets of a line in an exchange, with its CRLF (RFC 4954 §4)

Answer = Reply | Coroutine[Any, Any, Reply | None] | None


class Penalty(Protocol):
    """What a failure costs: seconds to wait before it is answered, and whether the network is banned from now on."""

    @property
    def delay(self) -> float: ...
    @property
    def banned_until(self) -> float | None: ...


class LoginGuard(Protocol):
    """Counts failures by network."""

    def banned(self, address: str) -> float | None:
        """Until when connections from there are refused, wall-clock seconds; None when they are not."""

    def failed(self, address: str) -> Penalty: ...
    def succeeded(self, address: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Logins:
    """What the login of one listener is made of. `begin` starts an exchange for a mechanism, with the channel bindings
    and the client's certificate names; `used` is told of each login; `attempts` may fail in one session."""

    begin: Callable[[str, Attempt, tuple[bytes, ...], tuple[str, ...]], Exchange]
    used: Callable[[Login, Attempt], Awaitable[None]]
    offered: Callable[[tuple[bytes, ...], tuple[str, ...]], tuple[str, ...]]
    guard: LoginGuard
    attempts: int


class LoginDialogue:
    """The AUTH commands of one session. `waiting` is True while the next line is a response."""

    def __init__(self, session: Session, logins: Logins, count: Callable[[str], None]) -> None:
        self.waiting = False
        self.bindings: tuple[bytes, ...] = ()
        self._session, self._logins, self._count = session, logins, count
        self._mechanism = ""
        self._exchange: Exchange | None = None
        self._success: Success | None = None  # its last word was sent, and is to be acknowledged
        self._failures = 0
        peer = session.peer
        self._attempt = Attempt(peer.address, peer.local_address, session.kind)

    def mechanisms(self) -> tuple[str, ...]:
        """What may be offered on the connection as it is."""
        return self._logins.offered(self.bindings, self._names())

    def auth(self, command: smtp.Auth) -> Answer:
        """Begin an exchange."""
        if command.mechanism not in self.mechanisms():
            return replies.NO_MECHANISM
        self._mechanism = command.mechanism
        self._exchange = self._logins.begin(
            command.mechanism, self._attempt, self.bindings, self._names()
        )
        if command.initial is None:
            return self._step(self._exchange.respond(None))
        return self._respond(b"" if command.initial == "=" else _decoded(command.initial.encode()))

    def respond(self, line: bytes) -> Answer:
        """Take a line of an exchange."""
        if line == b"*":
            return self._end(replies.LOGIN_CANCELLED, "cancelled")
        return self._respond(_decoded(line))

    def too_long(self) -> Answer:
        """A line of an exchange was over MAX_LINE, or ended in a way no line does."""
        return self._end(replies.LOGIN_LINE_TOO_LONG, "line too long")

    def _names(self) -> tuple[str, ...]:
        return self._session.tls.client_names if self._session.tls is not None else ()

    def _respond(self, response: bytes | None) -> Answer:
        if response is None:
            return self._end(replies.LOGIN_MALFORMED, "not base64")
        if self._success is not None:
            if response:
                return self._end(replies.LOGIN_MALFORMED, "a response to the last word")
            return self._succeed(self._success.login)
        assert self._exchange is not None
        return self._step(self._exchange.respond(response))

    def _step(self, step: Step | Awaitable[Step]) -> Answer:
        if isinstance(step, Challenge | Success | Failure):
            return self._answer(step)
        return self._later(step)

    async def _later(self, pending: Awaitable[Step]) -> Reply | None:
        self.waiting = False
        try:
            step = await pending
        except AuthUnavailableError as error:
            event(
                _log,
                "login-unavailable",
                level=logging.WARNING,
                s=self._session.id,
                ip=self._attempt.address,
                why=str(error),
            )
            self._failures += 1
            enough = self._failures >= self._logins.attempts
            reply = replies.TOO_MANY_LOGINS if enough else replies.LOGIN_UNAVAILABLE
            return self._end(reply, "unavailable")
        answer = self._answer(step)
        return await answer if isinstance(answer, Coroutine) else answer

    def _answer(self, step: Step) -> Answer:
        match step:
            case Challenge(octets):
                return self._ask(octets)
            case Success(login, octets):
                if not octets:
                    return self._succeed(login)
                self._success = step
                return self._ask(octets)
            case Failure(reason):
                return self._fail(reason)

    def _ask(self, octets: bytes) -> Reply:
        self.waiting = True
        return Reply(334, "", base64.b64encode(octets).decode())

    async def _succeed(self, login: Login) -> Reply:
        self._reset()
        session, attempt = self._session, self._attempt
        session.login = login
        self._logins.guard.succeeded(attempt.address)
        self._decide(Accept("login", self._facts(account=login.account, label=login.label)))
        event(
            _log,
            "login",
            s=session.id,
            ip=attempt.address,
            account=login.account,
            label=login.label,
            mechanism=self._mechanism,
        )
        self._count("ok")
        await self._logins.used(login, attempt)
        return replies.LOGGED_IN

    def _fail(self, reason: Reason) -> Answer:
        if reason is Reason.MALFORMED:
            return self._end(replies.LOGIN_MALFORMED, "malformed")
        user = self._exchange.user if self._exchange is not None else ""
        self._failures += 1
        penalty = self._logins.guard.failed(self._attempt.address)
        event(
            _log,
            "login-failed",
            level=logging.WARNING,
            s=self._session.id,
            ip=self._attempt.address,
            user=user[:_MAX_USER],
            mechanism=self._mechanism,
            why=str(reason),
            banned=penalty.banned_until is not None,
        )
        enough = self._failures >= self._logins.attempts or penalty.banned_until is not None
        reply = replies.TOO_MANY_LOGINS if enough else replies.LOGIN_WRONG
        self._end(reply, str(reason), user)
        return _after(penalty.delay, reply) if penalty.delay > 0 else reply

    def _end(self, reply: Reply, why: str, user: str = "") -> Reply:
        """An exchange has come to nothing."""
        self._reset()
        self._count(why)
        self._decide(Reject(reply, why, self._facts(user=user[:_MAX_USER])))
        return reply

    def _decide(self, verdict: Accept | Reject) -> None:
        """For the journal."""
        self._session.decisions.append(Decision("login", "auth", verdict))

    def _facts(self, **facts: str) -> dict[str, str]:
        found = {"mechanism": self._mechanism, **facts}
        return {name: value for name, value in found.items() if value}

    def _reset(self) -> None:
        self.waiting = False
        self._exchange = self._success = None


_MAX_USER = 255  # characters of a name that log and journal keep


def _decoded(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


async def _after(delay: float, reply: Reply) -> Reply:
    await asyncio.sleep(delay)
    return reply
