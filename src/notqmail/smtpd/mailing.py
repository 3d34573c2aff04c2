"""The mail transactions of one session, one after another: MAIL, RCPT, DATA, BDAT, and what comes of them.

A handler answers with a Reply, or with a coroutine that gives one when something must be awaited. After DATA and
BDAT `body` takes the octets that follow, and who read them asks `received` for the answer.

A message that is being committed cannot be taken back by a client that hangs up: its coroutine runs to the end
whatever happens to the connection, and what was answered to nobody is still delivered (RFC 5321 §4.1.1.4).
"""

import logging
from collections.abc import Awaitable, Coroutine
from typing import Any

from notqmail.journal import transaction_record, with_reference
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
from notqmail.smtp.content import OVERSIZE, spool_reply
from notqmail.smtpd import replies
from notqmail.smtpd.patience import Patience
from notqmail.smtpd.receiver import Chunked, ChunkInput, DataInput, Reception
from notqmail.smtpd.service import Service

_log = logging.getLogger("notqmail.smtpd")

Answer = Reply | Coroutine[Any, Any, Reply | None] | None


class Mailing:
    """`session` is whose they are; `accepted` counts messages; `body` is what takes the octets of a message now, if they
    are to come."""

    def __init__(self, session: Session, service: Service, patience: Patience) -> None:
        self.accepted = 0
        self.body: DataInput | ChunkInput | None = None
        self.session = session
        self._service, self._patience = service, patience
        self._txn: Transaction | None = None
        self._refusal: Reply | None = None  # of the last recipient
        self._reception: Reception | None = None
        self._chunked: Chunked | None = None

    @property
    def open(self) -> bool:
        """True from MAIL to the end of the transaction."""
        return self._txn is not None

    def mail(self, command: smtp.Mail) -> Answer:
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
        return replies.SENDER_OK if waiting is None else after(waiting, replies.SENDER_OK)

    def rcpt(self, command: smtp.Rcpt) -> Answer:
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

    def data(self, command: smtp.Data) -> Answer:
        if self._reception is not None:
            return replies.FINISH_CHUNKS
        reception = self._receive()
        if isinstance(reception, Reply):
            return reception
        self.body = DataInput(reception, self._service.limits, self._service.repair_bare_lf)
        return replies.START

    def bdat(self, command: smtp.Bdat) -> Answer:
        into: Chunked | Reply | None = self._chunked
        if into is None:
            reception = self._receive()
            if isinstance(reception, Reply):
                into = reception
            else:
                into = self._chunked = Chunked(reception, self._service.limits)
        self.body = ChunkInput(command.size, command.last, into)
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

    def received(self, body: DataInput | ChunkInput) -> Answer:
        """A body has ended: refuse it for its form, ask for the next chunk, or judge and keep the message."""
        refusal, txn, reception = body.refusal(), self._txn, self._reception
        if txn is None or reception is None:
            return refusal
        if refusal is not None:
            return self._refuse_form(txn, refusal, "form")
        if not body.last:
            reply = Reply(250, "2.0.0", f"{reception.size} octets so far")
            return self._patience.idly(reply) if body.empty else reply
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
        self._patience.renew()
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
        self.end(str(reply))
        return reply

    def end(self, why: str) -> None:
        """Forget the transaction; what was decided in it goes into the journal."""
        if self._reception is not None:
            self._reception.discard()
        self._reception = self._chunked = self.body = None
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


async def after(waiting: Awaitable[None], reply: Reply) -> Reply:
    """Give a reply when something else is done."""
    await waiting
    return reply
