"""The one door into the queue: SMTP, local injection, forwards and reports come in here, and get the same treatment.

`prepare` lets policy edit the header (once, before it is durable), gives the message its id and routes its
recipients. `accept` also commits; then the message is ours, whatever becomes of the client.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Protocol

from notqmail.journal import transaction_record
from notqmail.mail.address import Address
from notqmail.mail.entry import Entry, Routed
from notqmail.mail.envelope import Recipient
from notqmail.mail.hop import Hop
from notqmail.mail.message import Mark, Message
from notqmail.mail.reply import Reply
from notqmail.mail.sending import Hold
from notqmail.policy.header_text import message_id
from notqmail.policy.transaction import Transaction
from notqmail.ports import Clock, Draft, Journal, Random
from notqmail.queue.ids import new_id
from notqmail.queue.refused import refused_hop

_log = logging.getLogger("notqmail.queue")

OnQueue = Callable[[Transaction | None, Message, str], Message | Awaitable[Message]]
OnEntries = Callable[[Sequence[Entry]], None]

TURN = 0.02  # seconds of routing before others have their turn
LOCAL_TRANSPORT = "local"

NOBODY: Mapping[Recipient, Reply] = MappingProxyType({})


class Routes(Protocol):
    """What intake needs of a Router."""

    def route(
        self, recipient: Recipient, sender: Address | None
    ) -> Sequence[tuple[Recipient, Hop]]: ...


def unedited(txn: Transaction | None, message: Message, id: str) -> Message:
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
        self.held = 0  # messages taken to be held, since the start

    def new_id(self) -> str:
        """Make a queue id."""
        return new_id(self._clock.now(), self._random)

    async def prepare(self, message: Message, txn: Transaction | None, id: str = "") -> Routed:
        """Edit and route a message. Its id is the transaction's, or `id`, or a new one. Raises SpoolError."""
        id = id or (self.new_id() if txn is None else txn.id)
        edited = self._on_queue(txn, message, id)
        if inspect.isawaitable(edited):
            edited = await edited
        if txn is None:
            return await self._route(edited, id, NOBODY)
        routed = await self._route(edited, id, txn.dropped)
        login = txn.session.login
        if login is None:
            return routed
        held = txn.evidence.get(Hold) is not None
        return replace(routed, login=login.key, held=held)

    def route(self, message: Message, id: str) -> Routed:
        """Route a message as it is."""
        found: Found = {}
        for _ in _expand(self._router, message, NOBODY, found):
            pass
        return self._routed(message, id, found)

    async def _route(self, message: Message, id: str, dropped: Mapping[Recipient, Reply]) -> Routed:
        """Route a message, the `dropped` recipients to where a report comes from; a thousand large aliases keep
        nobody waiting."""
        found: Found = {}
        enough = self._clock.monotonic() + TURN
        for _ in _expand(self._router, message, dropped, found):
            if self._clock.monotonic() >= enough:
                await asyncio.sleep(0)
                enough = self._clock.monotonic() + TURN
        return self._routed(message, id, found)

    def _routed(self, message: Message, id: str, found: "Found") -> Routed:
        expanded = list(found.values())
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

    async def wait_begun(self) -> None:
        """Wait until what is on its way in now is in; what comes meanwhile is not waited for."""
        if self._accepting:
            await asyncio.wait(set(self._accepting))

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
        self.held += routed.held
        if txn is not None and self._journal is not None:
            self._journal.write(self._record(routed, txn))
        if self.on_entries is not None:
            self.on_entries(entries)
        return routed.id

    def _record(self, routed: Routed, txn: Transaction) -> Mapping[str, Any]:
        hold = txn.evidence.get(Hold)
        return transaction_record(
            txn,
            self._clock.now(),
            f"250 2.0.0 queued as {routed.id}",
            size=routed.message.content.size,
            message_id=message_id(txn),
            removed=[e.field.decode() for e in routed.message.edits if e.kind == "remove"],
            held="" if hold is None else hold.reason,
        )

    def _accepted(self, work: asyncio.Task[str]) -> None:
        self._accepting.discard(work)
        if not work.cancelled() and (error := work.exception()) is not None:
            # the caller has it too, unless it was cancelled
            _log.warning("message not kept error=%r", str(error))


Expanded = tuple[Recipient, Hop, Recipient]
Found = dict[tuple[object, Hop], Expanded]


def _expand(
    router: Routes, message: Message, dropped: Mapping[Recipient, Reply], found: Found
) -> Iterator[None]:
    """Find the recipients with their hops and what each was expanded from, a recipient at each step. One that several
    lead to is there once, as the first of them has it."""
    sender = message.envelope.sender
    for asked in message.envelope.recipients:
        told = dropped.get(asked)
        routes = router.route(asked, sender) if told is None else [(asked, refused_hop(told))]
        for recipient, hop in routes:
            # how a mailbox of ours is spelled is ours to say; elsewhere it is not (RFC 5321 §2.4)
            address = recipient.address
            who = address.fold if hop.transport == LOCAL_TRANSPORT else address
            found.setdefault((who, hop), (recipient, hop, asked))
        yield


def _marks(message: Message, expanded: Sequence[Expanded]) -> dict[Recipient, Mark]:
    """Judgement of a recipient holds for all it expands to."""
    marks = message.marks
    return {recipient: marks[asked] for recipient, _, asked in expanded if asked in marks}
