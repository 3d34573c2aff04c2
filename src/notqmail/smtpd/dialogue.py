"""One SMTP session without sockets: octets in, replies out, at most one thing awaited at a time.

    feed(octets) ──► advance() ──► None        everything that could be done is done; give me more
                              └──► coroutine   await it (alone), then advance() again

What came in is worked off strictly in order (RFC 2920), replies gather in `out` until the shell writes them. The
next octets are either command lines or, after DATA and BDAT, the body of a message. A handler answers with a
Reply, or with a coroutine that gives one when something must be awaited. The shell (session.py) owns transport,
timers and back-pressure and knows no SMTP.

What is said about mail is in mailing.py.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from notqmail.journal import connection_record
from notqmail.mail.reply import Reply
from notqmail.policy.evidence import Decision
from notqmail.policy.require_auth import AUTH_FIRST
from notqmail.policy.require_tls import STARTTLS_FIRST
from notqmail.policy.transaction import Session, Tls
from notqmail.policy.verdict import Accept
from notqmail.policy.xclient import assume
from notqmail.smtp import command as smtp
from notqmail.smtp.command import parse_command
from notqmail.smtp.framing import BadEnding, Line, LineReader, TooLong
from notqmail.smtp.xclient import Xclient
from notqmail.smtpd import replies
from notqmail.smtpd.login import MAX_LINE, LoginDialogue
from notqmail.smtpd.mailing import Answer, Mailing, after
from notqmail.smtpd.patience import Patience
from notqmail.smtpd.receiver import ChunkInput, DataInput
from notqmail.smtpd.service import Offer, Service

TURN = 0.02  # seconds of work on one pipeline before other sessions have theirs
# Octets of a message at once that make it wait its turn too. The event loop reads a socket again and again while there
# is more, and what is only drained, because it is refused already, waits for nothing else.
BULK = 65_536

Work = Coroutine[Any, Any, None]


class Dialogue:
    """The server's side of one connection. `accepted` counts messages; `closed` when nothing more is read."""

    def __init__(
        self, session: Session, service: Service, crowded: Callable[[], bool] = lambda: False
    ) -> None:
        self.out: list[bytes] = []
        self.closed = False
        self.draining = False
        # the client was told to begin TLS: nothing that it says in clear is heard any more
        self.upgrading = False
        self._service = service
        self._crowded = crowded  # says whether too many handshakes are going on
        self._input: deque[bytes] = deque()
        longest = 0 if service.logins is None else MAX_LINE
        self._lines = LineReader(max(service.limits.command_line, longest))
        self._patience = Patience(service.limits)
        self._mailing = Mailing(session, service, self._patience)
        self._began = service.clock.now()
        self._direct = session.peer  # the connection's own ends, whoever stands behind them
        self._bindings: tuple[bytes, ...] = ()
        self._adopt(session)

    def _adopt(self, session: Session) -> None:
        """Serve this session from now on: the first one, or the one that XCLIENT put in its place."""
        service = self._service
        self.session = self._mailing.session = session
        self._logins = (
            None
            if service.logins is None
            else LoginDialogue(session, service.logins, self._bindings, service.counted_login)
        )
        self._offer = self._offered()

    def _offered(self) -> Offer:
        mechanisms = () if self._logins is None else self._logins.offered()
        xclient = self._direct.address in self._service.doors.xclient
        return self._service.offer(self.session, mechanisms, xclient=xclient)

    # the shell's side

    def open(self) -> Work | None:
        """Greet (RFC 5321 §3.1). What on_connect has against the client is held until RCPT."""
        waiting = self._service.pipeline.connect(self.session)
        banner = self._service.banner
        return self._answer(banner if waiting is None else after(waiting, banner))

    def secured(self, tls: Tls, bindings: tuple[bytes, ...]) -> None:
        """TLS is on: forget what the client said in clear (RFC 3207 §4.2)."""
        session = self.session
        session.tls = tls
        session.helo, session.helo_valid, session.esmtp = "", False, False
        self._service.pipeline.forget_helo(session)
        self._input.clear()
        self._lines.take_rest()
        self.upgrading = False
        self._bindings = bindings
        self._adopt(session)

    def feed(self, octets: bytes) -> None:
        """Take what the client sent."""
        self._input.append(octets)

    @property
    def pending(self) -> int:
        """Octets taken and not yet worked off."""
        return sum(map(len, self._input)) + self._lines.pending

    @property
    def receiving(self) -> bool:
        """True within a message."""
        return self._mailing.body is not None

    @property
    def accepted(self) -> int:
        """Messages that are ours since the session began."""
        return self._mailing.accepted

    def advance(self) -> Work | None:
        """Work off the input until it is used up (None) or something must be awaited: a pipeline that keeps us
        busy for TURN lets the other sessions have theirs."""
        clock, mailing = self._service.clock, self._mailing
        enough = clock.monotonic() + TURN
        while not (self.closed or self.upgrading):
            if (body := mailing.body) is not None:
                if not self._input:
                    return None
                work = self._take(body, self._input.popleft())
            elif self.draining:
                self.close(replies.STOPPING)
                return None
            else:
                event = self._lines.next()
                if event is None:
                    if not self._input:
                        return None
                    self._lines.feed(self._input.popleft())
                    continue
                work = self._answer(self._command(event))
                if mailing.body is not None:  # the first octets may have been read with the command
                    self._input.appendleft(self._lines.take_rest())
                if work is None and not self.upgrading and clock.monotonic() >= enough:
                    work = asyncio.sleep(0)
            if work is not None:
                return work
        return None

    def close(self, farewell: Reply | None = None, why: str = "the client hung up") -> None:
        """End the session, with a last word if the peer can still hear it; without one the journal says `why`."""
        if self.closed:
            return
        self.closed = True
        self._input.clear()
        if farewell is not None:
            self.out.append(farewell.wire)
            if not farewell.positive:
                self._service.counts.refused(farewell.enhanced)
        why = why if farewell is None else str(farewell)
        self._mailing.end(why)
        if not self.session.transactions:
            now = self._service.clock.now()
            seconds = now - self._began
            self._service.journal.write(connection_record(self.session, now, why, seconds))

    # answering

    def _answer(self, answer: Answer) -> Work | None:
        """Say a reply; give back what must be awaited for one."""
        if isinstance(answer, Reply):
            self._say(answer)
        elif answer is not None:
            return self._answer_later(answer)
        return None

    async def _answer_later(self, answer: Coroutine[Any, Any, Reply | None]) -> None:
        reply = await answer
        if reply is not None:
            self._say(reply)

    def _say(self, reply: Reply) -> None:
        """Queue a reply; 221 and 421 end the session, and so do too many refusals."""
        if reply.code in (221, 421):
            self.close(reply)
            return
        self.out.append(reply.wire)
        if self._patience.ends_with(reply):
            self.close(replies.TOO_MANY_ERRORS)

    # commands

    def _command(self, event: Line | TooLong | BadEnding) -> Answer:
        if self._logins is not None and self._logins.waiting:
            if isinstance(event, Line):
                return self._logins.respond(event.octets)
            return self._logins.too_long()
        command: smtp.Command | Reply
        if isinstance(event, Line):
            command = parse_command(event.octets, self._offer.keywords)
            longest = (
                MAX_LINE if isinstance(command, smtp.Auth) else self._service.limits.command_line
            )
            if len(event.octets) + 2 > longest:
                command = replies.LINE_TOO_LONG
            elif not isinstance(command, Reply):
                return _HANDLERS[type(command)](self, command)
        else:
            command = replies.LINE_TOO_LONG if isinstance(event, TooLong) else replies.BAD_ENDING
        if event.verb != b"BDAT":
            return command
        # Nothing says how many octets of content follow, and they must not be taken for commands
        self.out.append(command.wire)
        self.close()
        return None

    def _hello(self, command: smtp.Hello) -> Answer:
        if command.verb == "LHLO":
            return replies.NOT_LMTP
        self._mailing.end("a new EHLO")
        session, service = self.session, self._service
        session.helo, session.helo_valid = command.name, command.valid
        session.esmtp = command.verb == "EHLO"
        self._offer = self._offered()
        reply = self._patience.idly(self._offer.reply if session.esmtp else service.helo)
        waiting = service.pipeline.helo(session)
        return reply if waiting is None else after(waiting, reply)

    def _rset(self, command: smtp.Rset) -> Answer:
        self._mailing.end("RSET")
        return self._patience.idly(replies.RESET)

    def _starttls(self, command: smtp.StartTls) -> Answer:
        if self.session.tls is not None:
            return replies.TLS_ALREADY
        if "STARTTLS" not in self._offer.keywords:
            return replies.NO_TLS
        if self._crowded():
            return replies.TOO_MANY_HANDSHAKES
        self._mailing.end("STARTTLS")
        if (left := self._lines.pending + sum(map(len, self._input))) > 0:
            # what follows in clear may be somebody else's, put between us and the client (RFC 3207 §6)
            heard = Accept("octets in clear behind STARTTLS, not looked at", {"octets": left})
            self.session.decisions.append(Decision("starttls", "connect", heard))
        self._input.clear()
        self._lines.take_rest()
        self.upgrading = True
        return replies.START_TLS

    def _xclient(self, command: Xclient) -> Answer:
        """A proxy says who its client is: the session begins anew, as that client's (Postfix's XCLIENT_README)."""
        if self._mailing.open:
            return replies.FINISH_FIRST
        logins = self._service.logins
        if command.login and logins is None:
            return replies.NO_VOUCHING
        session = assume(
            self.session, command, self._direct, logins.realm if logins is not None else ""
        )
        self._adopt(session)
        if command.address:
            self._service.met(command.address)
        if logins is not None and logins.guard.banned(session.peer.address) is not None:
            return replies.BANNED
        waiting = self._service.pipeline.connect(session)
        banner = self._patience.idly(self._service.banner)
        return banner if waiting is None else after(waiting, banner)

    def _auth(self, command: smtp.Auth) -> Answer:
        session = self.session
        if self._logins is None:
            return replies.NO_LOGIN
        if session.tls is None:
            return STARTTLS_FIRST
        if not session.esmtp:
            return replies.HELLO_FIRST
        if session.login is not None:
            return replies.LOGIN_ALREADY
        if self._mailing.open:
            return replies.FINISH_FIRST
        return self._logins.auth(command)

    def _mail(self, command: smtp.Mail) -> Answer:
        """A door for our own people tells at once what it misses (RFC 3207 §4, RFC 4954 §6)."""
        session = self.session
        if self._logins is not None and session.login is None:
            return STARTTLS_FIRST if session.tls is None else AUTH_FIRST
        return self._mailing.mail(command)

    def _quit(self, command: smtp.Quit) -> Answer:
        return replies.BYE

    def _noop(self, command: smtp.Noop) -> Answer:
        return self._patience.idly(replies.OK)

    def _help(self, command: smtp.Help) -> Answer:
        return self._patience.idly(replies.HELP)

    def _vrfy(self, command: smtp.Vrfy) -> Answer:
        return self._patience.idly(replies.VERIFY)

    def _expn(self, command: smtp.Expn) -> Answer:
        return replies.EXPAND

    def _other(self, command: smtp.Other) -> Answer:
        return replies.UNKNOWN

    # the body of a message

    def _take(self, body: DataInput | ChunkInput, octets: bytes) -> Work | None:
        pressure = body.take(octets)
        if not body.done:
            if pressure is None and len(octets) >= BULK:
                return asyncio.sleep(0)
            return None if pressure is None else _wait(pressure)
        self._mailing.body = None
        if body.rest:
            self._input.appendleft(body.rest)
        if pressure is None:
            return self._answer(self._mailing.received(body))
        return self._received_after(pressure, body)

    async def _received_after(
        self, pressure: Awaitable[None], body: DataInput | ChunkInput
    ) -> None:
        await pressure
        if (work := self._answer(self._mailing.received(body))) is not None:
            await work


async def _wait(pressure: Awaitable[None]) -> None:
    await pressure


_HANDLERS: dict[type, Callable[[Dialogue, Any], Answer]] = {
    smtp.Hello: Dialogue._hello,
    smtp.Mail: Dialogue._mail,
    smtp.Rcpt: lambda dialogue, command: dialogue._mailing.rcpt(command),
    smtp.Data: lambda dialogue, command: dialogue._mailing.data(command),
    smtp.Bdat: lambda dialogue, command: dialogue._mailing.bdat(command),
    smtp.Rset: Dialogue._rset,
    smtp.Noop: Dialogue._noop,
    smtp.Quit: Dialogue._quit,
    smtp.Vrfy: Dialogue._vrfy,
    smtp.Expn: Dialogue._expn,
    smtp.Help: Dialogue._help,
    smtp.StartTls: Dialogue._starttls,
    smtp.Auth: Dialogue._auth,
    Xclient: Dialogue._xclient,
    smtp.Other: Dialogue._other,
}
