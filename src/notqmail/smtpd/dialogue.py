"""One SMTP session without sockets: octets in, replies out, at most one thing awaited at a time.

    feed(octets) ──► advance() ──► None        everything that could be done is done; give me more
                              └──► coroutine   await it (alone), then advance() again

What came in is worked off strictly in order (RFC 2920), replies gather in `out` until the shell writes them. The
next octets are either command lines or, after DATA and BDAT, the `_body` of a message. A handler answers with a
Reply, or with a coroutine that gives one when something must be awaited. The shell (session.py) owns transport,
timers and back-pressure and knows no SMTP.

A message that is being committed cannot be taken back by a client that hangs up: its coroutine runs to the end
whatever happens to the connection, and what was answered to nobody is still delivered (RFC 5321 §4.1.1.4).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from notqmail.journal import connection_record, transaction_record, with_reference
from notqmail.log import event
from notqmail.mail.envelope import Recipient
from notqmail.mail.errors import SpoolError
from notqmail.mail.message import Message
from notqmail.mail.reply import Reply
from notqmail.policy.evidence import Decision
from notqmail.policy.settle import settle_verdicts
from notqmail.policy.transaction import Session, Transaction
from notqmail.policy.verdict import ACCEPT, Defer, Reject, Verdict
from notqmail.smtp import command as smtp
from notqmail.smtp.command import parse_command
from notqmail.smtp.content import OVERSIZE, spool_reply
from notqmail.smtp.framing import BadEnding, Line, LineReader, TooLong
from notqmail.smtpd import replies
from notqmail.smtpd.receiver import Chunked, ChunkInput, DataInput, Reception
from notqmail.smtpd.service import Service

TURN = 0.02  # seconds of work on one pipeline before other sessions have theirs
# Octets of a message at once that make it wait its turn too. The event loop reads a socket again and again while there
# is more, and what is only drained, because it is refused already, waits for nothing else.
BULK = 65_536

_log = logging.getLogger("notqmail.smtpd")

Work = Coroutine[Any, Any, None]
Answer = Reply | Coroutine[Any, Any, Reply | None] | None


class Dialogue:
    """The server's side of one connection. `accepted` counts messages; `closed` when nothing more is read."""

    def __init__(self, session: Session, service: Service) -> None:
        self.session = session
        self.out: list[bytes] = []
        self.accepted = 0
        self.closed = False
        self.draining = False
        self._service = service
        self._input: deque[bytes] = deque()
        self._lines = LineReader(service.limits.command_line)
        self._txn: Transaction | None = None
        self._refusal: Reply | None = None  # of the last recipient
        self._reception: Reception | None = None
        self._chunked: Chunked | None = None
        self._body: DataInput | ChunkInput | None = None
        self._errors = self._deferrals = 0
        self._idle_commands = 0
        self._began = service.clock.now()

    # the shell's side

    def open(self) -> Work | None:
        """Greet (RFC 5321 §3.1). What on_connect has against the client is held until RCPT."""
        waiting = self._service.pipeline.connect(self.session)
        banner = self._service.banner
        return self._answer(banner if waiting is None else _after(waiting, banner))

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
        return self._body is not None

    def advance(self) -> Work | None:
        """Work off the input until it is used up (None) or something must be awaited: a pipeline that keeps us
        busy for TURN lets the other sessions have theirs."""
        clock = self._service.clock
        enough = clock.monotonic() + TURN
        while not self.closed:
            if self._body is not None:
                if not self._input:
                    return None
                work = self._take(self._body, self._input.popleft())
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
                if work is None and clock.monotonic() >= enough:
                    work = asyncio.sleep(0)
            if work is not None:
                return work
        return None

    def close(self, farewell: Reply | None = None) -> None:
        """End the session, with a last word if the peer can still hear it."""
        if self.closed:
            return
        self.closed = True
        self._input.clear()
        if farewell is not None:
            self.out.append(farewell.wire)
            if not farewell.positive:
                self._service.counts.refused(farewell.enhanced)
        why = "the client hung up" if farewell is None else str(farewell)
        self._end_transaction(why)
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
        limits = self._service.limits
        if reply.code >= 500:
            self._errors += 1
        elif reply.code >= 400:
            self._deferrals += 1
        # who sends more recipients than fit has that many put off without being at fault (RFC 5321 §4.5.3.1.10)
        if self._errors >= limits.errors or self._deferrals > limits.recipients:
            self.close(replies.TOO_MANY_ERRORS)

    # commands

    def _command(self, event: Line | TooLong | BadEnding) -> Answer:
        if isinstance(event, Line):
            command = parse_command(event.octets, self._service.offered)
            if not isinstance(command, Reply):
                return _HANDLERS[type(command)](self, command)
        else:
            command = replies.LINE_TOO_LONG if isinstance(event, TooLong) else replies.BAD_ENDING
        if event.verb != b"BDAT":
            return command
        # Nothing says how many octets of content follow, and they must not be taken for commands
        self.out.append(command.wire)
        self.close()
        return None

    def _idly(self, reply: Reply) -> Reply:
        """Count a command that moves no mail; too many of them end the session."""
        self._idle_commands += 1
        too_many = self._idle_commands > self._service.limits.commands
        return replies.TOO_MANY_COMMANDS if too_many else reply

    def _hello(self, command: smtp.Hello) -> Answer:
        if command.verb == "LHLO":
            return replies.NOT_LMTP
        self._end_transaction("a new EHLO")
        session, service = self.session, self._service
        session.helo, session.helo_valid = command.name, command.valid
        session.esmtp = command.verb == "EHLO"
        reply = self._idly(service.ehlo if session.esmtp else service.helo)
        waiting = service.pipeline.helo(session)
        return reply if waiting is None else _after(waiting, reply)

    def _mail(self, command: smtp.Mail) -> Answer:
        service, session = self._service, self.session
        if not session.helo:
            return replies.HELLO_FIRST
        if self._txn is not None:
            return replies.MAIL_NESTED
        if session.transactions >= service.limits.messages:
            return replies.TOO_MANY_MESSAGES
        if command.size is not None and command.size > service.limits.message:
            return OVERSIZE
        session.transactions += 1
        self._refusal = None
        self._txn = txn = Transaction(
            id=service.new_id(),
            session=session,
            sender=command.sender,
            started=service.clock.now(),
            size=command.size,
            body=command.body,
            ret=command.ret,
            envid=command.envid,
            smtputf8=command.smtputf8,
        )
        waiting = service.pipeline.mail(txn)
        return replies.SENDER_OK if waiting is None else _after(waiting, replies.SENDER_OK)

    def _rcpt(self, command: smtp.Rcpt) -> Answer:
        txn = self._txn
        if txn is None:
            return replies.MAIL_FIRST
        if self._reception is not None:
            return replies.FINISH_CHUNKS
        if command.utf8 and not txn.smtputf8:
            return replies.NEED_UTF8
        if len(txn.recipients) >= self._service.limits.recipients:
            return replies.TOO_MANY_RECIPIENTS
        recipient = Recipient(command.address, command.notify, command.orcpt)
        verdict = self._service.pipeline.rcpt(txn, recipient)
        if isinstance(verdict, Awaitable):
            return self._judged_later(txn, recipient, verdict)
        return self._judged(txn, recipient, verdict)

    async def _judged_later(
        self, txn: Transaction, recipient: Recipient, verdict: Awaitable[Verdict]
    ) -> Reply:
        return self._judged(txn, recipient, await verdict)

    def _judged(self, txn: Transaction, recipient: Recipient, verdict: Verdict) -> Reply:
        if verdict is ACCEPT or not isinstance(verdict, Defer | Reject):
            txn.recipients.append(recipient)
            return replies.RECIPIENT_OK
        self._refusal = verdict.reply
        self._service.counts.refused(verdict.reply.enhanced)
        return verdict.reply

    def _rset(self, command: smtp.Rset) -> Answer:
        self._end_transaction("RSET")
        return self._idly(replies.RESET)

    def _quit(self, command: smtp.Quit) -> Answer:
        return replies.BYE

    def _noop(self, command: smtp.Noop) -> Answer:
        return self._idly(replies.OK)

    def _help(self, command: smtp.Help) -> Answer:
        return self._idly(replies.HELP)

    def _vrfy(self, command: smtp.Vrfy) -> Answer:
        return self._idly(replies.VERIFY)

    def _expn(self, command: smtp.Expn) -> Answer:
        return replies.EXPAND

    def _other(self, command: smtp.Other) -> Answer:
        return replies.UNKNOWN

    # the message

    def _data(self, command: smtp.Data) -> Answer:
        if self._reception is not None:
            return replies.FINISH_CHUNKS
        reception = self._receive()
        if isinstance(reception, Reply):
            return reception
        self._begin(DataInput(reception, self._service.limits, self._service.repair_bare_lf))
        return replies.START

    def _bdat(self, command: smtp.Bdat) -> Answer:
        into: Chunked | Reply | None = self._chunked
        if into is None:
            reception = self._receive()
            if isinstance(reception, Reply):
                into = reception
            else:
                into = self._chunked = Chunked(reception, self._service.limits)
        self._begin(ChunkInput(command.size, command.last, into))
        return None

    def _receive(self) -> Reception | Reply:
        """Open the reception of a message, or say why none can come now."""
        txn, service = self._txn, self._service
        if txn is None:
            return replies.MAIL_FIRST
        if not txn.recipients:
            return replies.NO_RECIPIENTS if self._refusal is not None else replies.RCPT_FIRST
        try:
            draft = service.store.draft()
        except SpoolError as error:
            return spool_reply(error)
        self._reception = Reception(draft, service.limits, service.pipeline.body(txn))
        return self._reception

    def _begin(self, body: DataInput | ChunkInput) -> None:
        """The next octets are content; the first of them may have been read with the command."""
        self._body = body
        self._input.appendleft(self._lines.take_rest())

    def _take(self, body: DataInput | ChunkInput, octets: bytes) -> Work | None:
        pressure = body.take(octets)
        if not body.done:
            if pressure is None and len(octets) >= BULK:
                return asyncio.sleep(0)
            return None if pressure is None else _wait(pressure)
        self._body = None
        if body.rest:
            self._input.appendleft(body.rest)
        if pressure is None:
            return self._answer(self._received(body))
        return self._received_after(pressure, body)

    async def _received_after(
        self, pressure: Awaitable[None], body: DataInput | ChunkInput
    ) -> None:
        await pressure
        if (work := self._answer(self._received(body))) is not None:
            await work

    def _received(self, body: DataInput | ChunkInput) -> Answer:
        """A body has ended: refuse it for its form, ask for the next chunk, or judge and keep the message."""
        refusal, txn, reception = body.refusal(), self._txn, self._reception
        if txn is None or reception is None:
            return refusal
        if refusal is not None:
            return self._refuse_form(txn, refusal, "form")
        if not body.last:
            reply = Reply(250, "2.0.0", f"{reception.size} octets so far")
            return self._idly(reply) if body.empty else reply
        return self._keep(txn, reception)

    async def _keep(self, txn: Transaction, reception: Reception) -> Reply:
        """Judge the message, make it durable, answer. Nothing here is undone when the client hangs up."""
        service = self._service
        message = Message(txn.envelope, reception.content(), marks=txn.marks)
        verdicts = service.pipeline.message(txn, message)
        if isinstance(verdicts, Awaitable):
            verdicts = await verdicts
        settled = settle_verdicts(verdicts, service.disagreement)
        if settled.reply is not None:
            return self._refuse_message(settled.reply)
        txn.marks.update(settled.marks)
        txn.dropped.update(settled.dropped)
        self._reception = self._chunked = None
        try:
            queue_id = await service.intake.accept(reception.release(), message, txn)
        except SpoolError as error:
            return self._refuse_form(txn, spool_reply(error), "store")
        service.counts.accepted(service.listener)
        self.accepted += 1
        self._errors = self._deferrals = self._idle_commands = 0
        self._txn = None
        reply = Reply(250, "2.0.0", f"queued as {queue_id}")
        _tell("accepted", txn, str(reply), reception.size)
        return reply

    def _refuse_form(self, txn: Transaction, reply: Reply, rule: str) -> Reply:
        """Refuse a message for what no stage has judged: its form, its size, our disk."""
        txn.ref = txn.ref or self._service.new_ref()
        verdict = Defer(reply, rule) if reply.transient else Reject(reply, rule)
        txn.decisions.append(Decision("reception", "message", verdict))
        return self._refuse_message(with_reference(reply, txn.ref))

    def _refuse_message(self, reply: Reply) -> Reply:
        self._service.counts.refused(reply.enhanced)
        self._end_transaction(str(reply))
        return reply

    def _end_transaction(self, why: str) -> None:
        """Forget the transaction; what was decided in it goes into the journal."""
        if self._reception is not None:
            self._reception.discard()
        self._reception = self._chunked = self._body = None
        txn, self._txn = self._txn, None
        if txn is not None:
            if self._refusal is not None and not txn.recipients:
                why = str(
                    self._refusal
                )  # what counts is why it came to nothing, not how it was left
            _tell("not accepted", txn, why)
            self._service.journal.write(transaction_record(txn, self._service.clock.now(), why))


def _tell(what: str, txn: Transaction, reply: str, size: int = 0) -> None:
    session, sender = txn.session, "" if txn.sender is None else str(txn.sender)
    event(
        _log,
        what,
        s=session.id,
        m=txn.id,
        ip=session.peer.address,
        sender=sender,
        recipients=len(txn.recipients),
        size=size,
        reply=reply,
    )


async def _wait(pressure: Awaitable[None]) -> None:
    await pressure


async def _after(waiting: Awaitable[None], reply: Reply) -> Reply:
    await waiting
    return reply


_HANDLERS: dict[type, Callable[[Dialogue, Any], Answer]] = {
    smtp.Hello: Dialogue._hello,
    smtp.Mail: Dialogue._mail,
    smtp.Rcpt: Dialogue._rcpt,
    smtp.Data: Dialogue._data,
    smtp.Bdat: Dialogue._bdat,
    smtp.Rset: Dialogue._rset,
    smtp.Noop: Dialogue._noop,
    smtp.Quit: Dialogue._quit,
    smtp.Vrfy: Dialogue._vrfy,
    smtp.Expn: Dialogue._expn,
    smtp.Help: Dialogue._help,
    smtp.Other: Dialogue._other,
}
