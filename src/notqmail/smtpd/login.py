"""Logging in: one AUTH exchange after another, until one succeeds or the client has had enough of them (RFC 4954).

A mechanism (auth/sasl) takes responses and gives steps; here is what is SMTP about it: base64, 334, cancelling with
`*`, the replies, and the wait that a failure costs. Passwords pass through here: nothing of what a client sent in an
exchange is logged or answered, but the name it claimed.
"""

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from notqmail.auth.binding import END_POINT
from notqmail.auth.sasl import Challenge, Decoy, Exchange, Failure, Reason, Success, Terms
from notqmail.auth.sasl import begin as begin_exchange
from notqmail.auth.sasl import offered as offered_mechanisms
from notqmail.log import event
from notqmail.mail.errors import AuthUnavailableError
from notqmail.mail.login import Attempt, Login
from notqmail.mail.reply import Reply
from notqmail.policy.evidence import Decision
from notqmail.policy.login_log import log_failure, log_success
from notqmail.policy.transaction import Session
from notqmail.policy.verdict import Accept, Reject
from notqmail.ports import Authenticator, Clock
from notqmail.smtp import command as smtp
from notqmail.smtpd import replies

_log = logging.getLogger("notqmail.smtpd")

MAX_LINE = 12288  # octets of a line in an exchange, with its CRLF (RFC 4954 §4)

Answer = Coroutine[Any, Any, Reply | None]


class Penalty(Protocol):
    """What a failure costs: seconds to wait before it is answered, and until when the network is banned (wall-clock
    seconds; None: it is not)."""

    @property
    def delay(self) -> float: ...
    @property
    def banned_until(self) -> float | None: ...


class LoginGuard(Protocol):
    """Counts failures by network."""

    def banned(self, address: str) -> float | None:
        """Until when connections from there are refused; None when they are not."""

    def failed(self, address: str) -> Penalty: ...


@dataclass(frozen=True, slots=True)
class Logins:
    """What logging in at one listener is made of. `mechanisms` are those that may be offered, `attempts` may fail in
    one session; the rest is as in sasl.Terms."""

    accounts: Authenticator
    mechanisms: tuple[str, ...]
    attempts: int
    guard: LoginGuard
    decoy: Decoy
    nonce: Callable[[], str]
    clock: Clock
    realm: str = ""


class LoginDialogue:
    """The AUTH commands of one session. `waiting` is True while the next line is a response; `bindings` are the channel
    bindings (tls-server-end-point) of its connection; `count` is told how each exchange ends."""

    def __init__(
        self,
        session: Session,
        logins: Logins,
        bindings: tuple[bytes, ...],
        count: Callable[[str], None],
    ) -> None:
        self.waiting = False
        self._bindings = bindings
        self._session, self._logins, self._count = session, logins, count
        self._mechanism = ""
        self._exchange: Exchange | None = None
        self._failures = 0
        peer = session.peer
        self._attempt = Attempt(peer.address, peer.local_address, session.kind)

    def offered(self) -> tuple[str, ...]:
        """The mechanisms that a client may use on the connection as it is."""
        return offered_mechanisms(
            self._logins.mechanisms,
            self._logins.accounts.mechanisms,
            bound=bool(self._bindings),
            certified=bool(self._certificate()),
        )

    def auth(self, command: smtp.Auth) -> Reply | Answer:
        """Begin an exchange."""
        logins = self._logins
        if logins.guard.banned(self._attempt.address) is not None:  # by another session's failures
            return self._end(replies.BANNED, "banned")
        self._mechanism = command.mechanism
        self._exchange = begin_exchange(
            command.mechanism,
            Terms(
                accounts=logins.accounts,
                attempt=self._attempt,
                offered=self.offered(),
                decoy=logins.decoy,
                nonce=logins.nonce,
                realm=logins.realm,
                bindings={END_POINT: self._bindings},
                certificate=self._certificate(),
            ),
        )
        if self._exchange is None:
            return replies.NO_MECHANISM
        if command.initial is None:
            return self._respond(self._exchange, None)
        return self.respond(b"" if command.initial == "=" else command.initial.encode())

    def respond(self, line: bytes) -> Reply | Answer:
        """Take a line of an exchange, without its CRLF."""
        if line == b"*":
            return self._end(replies.LOGIN_CANCELLED, "cancelled")
        try:
            response = base64.b64decode(line, validate=True)
        except binascii.Error:
            return self._end(replies.LOGIN_MALFORMED, "not base64")
        assert self._exchange is not None
        return self._respond(self._exchange, response)

    def too_long(self) -> Reply:
        """A line of an exchange was over MAX_LINE, or ended in a way no line does."""
        return self._end(replies.LOGIN_LINE_TOO_LONG, "no line")

    def _certificate(self) -> tuple[str, ...]:
        return self._session.tls.client_names if self._session.tls is not None else ()

    async def _respond(self, exchange: Exchange, response: bytes | None) -> Reply | None:
        self.waiting = False
        try:
            step = await exchange.respond(response)
        except AuthUnavailableError as error:
            return self._unavailable(error)
        match step:
            case Challenge(octets):
                self.waiting = True
                return Reply(334, "", base64.b64encode(octets).decode())
            case Success(login):
                return await self._succeed(login)
            case Failure():
                return await self._fail(step)

    async def _succeed(self, login: Login) -> Reply:
        session, attempt, logins = self._session, self._attempt, self._logins
        self._exchange = None
        session.login = login
        self._decide(Accept("login", self._facts(account=login.account, label=login.label)))
        log_success(
            session=session.id,
            address=attempt.address,
            account=login.account,
            mechanism=self._mechanism,
            label=login.label,
        )
        self._count("ok")
        await logins.accounts.used(login, attempt, logins.clock.now())
        return replies.LOGGED_IN

    async def _fail(self, failure: Failure) -> Reply:
        if failure.reason is not Reason.WRONG:
            reply = _OTHER_FAILURES[failure.reason]
            return self._end(reply, str(failure.reason), user=failure.user, detail=failure.why)
        self._failures += 1
        penalty = self._logins.guard.failed(self._attempt.address)
        banned = penalty.banned_until is not None
        log_failure(
            session=self._session.id,
            address=self._attempt.address,
            user=failure.user,
            mechanism=self._mechanism,
            why=failure.why,
        )
        reply = replies.TOO_MANY_LOGINS if self._enough() or banned else replies.LOGIN_WRONG
        self._end(reply, "wrong", user=failure.user, detail=failure.why)
        if penalty.delay > 0:
            await asyncio.sleep(penalty.delay)
        return reply

    def _unavailable(self, error: AuthUnavailableError) -> Reply:
        self._failures += 1
        event(
            _log,
            "login-unavailable",
            level=logging.WARNING,
            s=self._session.id,
            ip=self._attempt.address,
            why=str(error),
        )
        reply = replies.LOGINS_AWAY if self._enough() else replies.LOGIN_UNAVAILABLE
        return self._end(reply, "unavailable", detail=str(error))

    def _enough(self) -> bool:
        return self._failures >= self._logins.attempts

    def _end(self, reply: Reply, why: str, **facts: str) -> Reply:
        """An exchange has come to nothing."""
        self.waiting = False
        self._exchange = None
        self._count(why)
        self._decide(Reject(reply, why, self._facts(**facts)))
        return reply

    def _decide(self, verdict: Accept | Reject) -> None:
        """For the journal."""
        self._session.decisions.append(Decision("login", "auth", verdict))

    def _facts(self, **facts: str) -> dict[str, str]:
        found = {"mechanism": self._mechanism, **facts}
        return {name: value for name, value in found.items() if value}


_OTHER_FAILURES = {
    Reason.MALFORMED: replies.LOGIN_MALFORMED,
    Reason.UNSUPPORTED: replies.NO_MECHANISM,
}
