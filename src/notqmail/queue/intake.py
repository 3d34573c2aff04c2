"""The one door into the queue: SMTP, local injection, forwards and reports come in here, and get the same treatment.

`prepare` lets policy edit the header (once, before it is durable), gives the message its id and routes its
recipients. `accept` also commits; then the message is ours, whatever becomes of the client.
"""

import asyncio
import inspect
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from notqmail.journal import transaction_record
from notqmail.mail.entry import Entry, Routed
from notqmail.mail.envelope import Recipient
from notqmail.mail.header import header_end
from notqmail.mail.hop import Hop
from notqmail.mail.message import Content, Mark, Message
from notqmail.policy.transaction import Transaction
from notqmail.ports import Clock, Draft, Journal, Random
from notqmail.queue.ids import new_id

_log = logging.getLogger("notqmail.queue")

_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:[ \t\r\n]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)

OnQueue = Callable[[Transaction | None, Message], Message | Awaitable[Message]]
OnEntries = Callable[[Sequence[Entry]], None]


class Routes(Protocol):
    """What intake needs of a Router."""

    def route(self, recipient: Recipient) -> Sequence[tuple[Recipient, Hop]]: ...


def unedited(txn: Transaction | None, message: Message) -> Message:
    """Let every message in as it is."""
    return message


class Intake:
    """`on_queue` is policy's last word on the header: it edits, and raises SpoolError (451) when it cannot.

    `on_entries` is handed what was committed, claimed already (Manager.take); set it before the first `accept`.
    `committed` is told how many seconds each commit took.
    """

    def __init__(
        self,
        router: Routes,
        clock: Clock,
        random: Random,
        *,
        on_queue: OnQueue = unedited,
        on_entries: OnEntries | None = None,
        journal: Journal | None = None,
        committed: Callable[[float], None] | None = None,
    ) -> None:
        self._router, self._clock, self._random = router, clock, random
        self._committed = committed
        self._on_queue = on_queue
        self.on_entries = on_entries
        self._journal = journal
        self._accepting: set[asyncio.Task[str]] = set()

    def new_id(self) -> str:
        """Make a queue id."""
        return new_id(self._clock.now(), self._random)

    async def prepare(self, message: Message, txn: Transaction | None, id: str = "") -> Routed:
        """Edit and route a message. Its id is the transaction's, or `id`, or a new one. Raises SpoolError."""
        edited = self._on_queue(txn, message)
        if inspect.isawaitable(edited):
            edited = await edited
        return self.route(edited, id or (txn.id if txn is not None else self.new_id()))

    def route(self, message: Message, id: str) -> Routed:
        """Route a message as it is."""
        expanded = _merged(self._router, message)
        envelope = message.envelope
        recipients = tuple(recipient for recipient, _, _ in expanded)
        if recipients != envelope.recipients:
            message = replace(
                message,
                envelope=replace(envelope, recipients=recipients),
                marks=_marks(message, expanded),
            )
        return Routed(id, message, tuple(hop for _, hop, _ in expanded), self._clock.now())

    async def accept(self, draft: Draft, message: Message, txn: Transaction | None) -> str:
        """Make a message durable and give its queue id. Raises SpoolError, and nothing is kept then.

        The draft is ours from here on, and all is done in a task of its own: once begun it ends, and what it kept
        is delivered, even when the caller is cancelled.
        """
        work = asyncio.create_task(self._accept(draft, message, txn))
        self._accepting.add(work)
        work.add_done_callback(self._accepted)
        return await asyncio.shield(work)

    async def wait_accepted(self) -> None:
        """Wait until nothing is on its way in (before the store is closed)."""
        while self._accepting:
            await asyncio.wait(self._accepting)

    async def _accept(self, draft: Draft, message: Message, txn: Transaction | None) -> str:
        try:
            routed = await self.prepare(message, txn)
        except BaseException:
            draft.discard()
            raise
        began = self._clock.monotonic()
        entries = await draft.commit(routed)
        if self._committed is not None:
            self._committed(self._clock.monotonic() - began)
        if txn is not None and self._journal is not None:
            self._journal.write(await self._record(routed, txn))
        if self.on_entries is not None:
            self.on_entries(entries)
        return routed.id

    async def _record(self, routed: Routed, txn: Transaction) -> Mapping[str, Any]:
        return transaction_record(
            txn,
            self._clock.now(),
            f"250 2.0.0 queued as {routed.id}",
            size=routed.message.content.size,
            message_id=await _message_id(routed.message.content),
        )

    def _accepted(self, work: asyncio.Task[str]) -> None:
        self._accepting.discard(work)
        if not work.cancelled() and (error := work.exception()) is not None:
            # the caller has it too, unless it was cancelled
            _log.warning("message not kept error=%r", str(error))


Expanded = tuple[Recipient, Hop, Recipient]


def _merged(router: Routes, message: Message) -> Sequence[Expanded]:
    """Give the recipients with their hops and what each was expanded from. One that several lead to is there once,
    as the first of them has it."""
    envelope = message.envelope
    if len(envelope.recipients) == 1:
        only = envelope.recipients[0]
        return [(recipient, hop, only) for recipient, hop in router.route(only)]
    found: dict[object, Expanded] = {}
    for asked in envelope.recipients:
        for recipient, hop in router.route(asked):
            key = (recipient.address, hop)
            found.setdefault(key, (recipient, hop, asked))
    return list(found.values())


def _marks(message: Message, expanded: Sequence[Expanded]) -> dict[Recipient, Mark]:
    """Judgement of a recipient holds for all it expands to."""
    marks = message.marks
    return {recipient: marks[asked] for recipient, _, asked in expanded if asked in marks}


async def _message_id(content: Content) -> str:
    """Give the Message-ID for the journal, or ""; the first chunk has it, or it is not looked for."""
    head = content.whole
    if head is None:
        head = b""
        async for chunk in content.chunks():
            head = chunk
            break
    found = _MESSAGE_ID.search(head, 0, header_end(head))
    return found[1].strip().decode("utf-8", "replace") if found is not None else ""
