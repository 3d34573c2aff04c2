"""Mail from programs on this machine: judged by the local pipeline, then through the one door into the queue.

Recipients are not validated here: as with any sendmail the message is taken, and who cannot be reached is told by a
report. A program that sends to ten people and made one typing error has sent to nine.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from notqmail.log import event
from notqmail.mail.envelope import Envelope
from notqmail.mail.message import Message
from notqmail.mail.reply import Reply
from notqmail.policy.pipeline import Pipeline
from notqmail.policy.settle import settle_verdicts
from notqmail.policy.transaction import Peer, Session, Transaction
from notqmail.policy.verdict import Defer, Reject
from notqmail.ports import Clock, Draft, Store

_log = logging.getLogger("notqmail.queue")

LISTENER = "local"
_NOWHERE = Peer("", 0, "", 0)


class Door(Protocol):
    """What is needed of Intake."""

    def new_id(self) -> str: ...
    async def accept(self, draft: Draft, message: Message, txn: Transaction) -> str: ...


class Submission:
    """Queues one message after another. `pipeline` gives the one in force."""

    def __init__(
        self, store: Store, door: Door, clock: Clock, pipeline: Callable[[], Pipeline]
    ) -> None:
        self._store, self._door, self._clock, self._pipeline = store, door, clock, pipeline
        self._serial = 0

    async def submit(self, user: str, envelope: Envelope, chunks: AsyncIterator[bytes]) -> Reply:
        """Queue a message that `user` hands in; the reply says what became of it. Raises SpoolError, and what
        `chunks` raises; nothing is kept then."""
        txn, pipeline = self._transaction(user, envelope), self._pipeline()
        for recipient in envelope.recipients:
            verdict: Any = pipeline.rcpt(txn, recipient)
            if isinstance(verdict, Awaitable):
                verdict = await verdict
            if isinstance(verdict, Defer | Reject):
                return verdict.reply
            txn.recipients.append(recipient)
        draft = self._store.draft()
        try:
            await self._read(draft, pipeline, txn, chunks)
            message = Message(txn.envelope, draft.content(), marks=txn.marks)
            refusal = await self._judge(pipeline, txn, message)
        except BaseException:
            draft.discard()
            raise
        if refusal is not None:
            draft.discard()
            return refusal
        reply = Reply(250, "2.0.0", f"queued as {await self._door.accept(draft, message, txn)}")
        event(
            _log,
            "accepted",
            s=txn.session.id,
            m=txn.id,
            user=user,
            sender=str(txn.sender or ""),
            recipients=len(txn.recipients),
            size=draft.size,
            reply=str(reply),
        )
        return reply

    def _transaction(self, user: str, envelope: Envelope) -> Transaction:
        self._serial += 1
        session = Session(
            id=f"{LISTENER}{self._serial:x}",
            listener=LISTENER,
            kind=LISTENER,
            peer=_NOWHERE,
            local_user=user,
        )
        return Transaction(
            id=self._door.new_id(),
            session=session,
            sender=envelope.sender,
            started=self._clock.now(),
            body=envelope.body,
            ret=envelope.ret,
            envid=envelope.envid,
            smtputf8=envelope.smtputf8,
        )

    async def _read(
        self, draft: Draft, pipeline: Pipeline, txn: Transaction, chunks: AsyncIterator[bytes]
    ) -> None:
        sinks = pipeline.body(txn)
        async for chunk in chunks:
            for sink in sinks:
                sink.feed(chunk)
            if (pressure := draft.write(chunk)) is not None:
                await pressure
        for sink in sinks:
            sink.finish()

    async def _judge(self, pipeline: Pipeline, txn: Transaction, message: Message) -> Reply | None:
        verdicts = pipeline.message(txn, message)
        if isinstance(verdicts, Awaitable):
            verdicts = await verdicts
        settled = settle_verdicts(verdicts)
        txn.marks.update(settled.marks)
        return settled.reply
