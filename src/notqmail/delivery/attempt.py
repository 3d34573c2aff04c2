"""One attempt at one entry: an idle session first, then the hosts in order, until every recipient has its answer.

What a server says to RCPT or to the message is final when it is 2xx or 5xx. What it says with 4xx, and what keeps us
from asking it at all, is held while there are other hosts to ask; in the end a temporary reason outweighs a permanent
one, because a host that could not be asked might have said yes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from notqmail.config import Outbound
from notqmail.delivery.connection import Connection
from notqmail.delivery.features import Features, objection
from notqmail.delivery.mx import Candidate
from notqmail.delivery.parcel import Packer, Parcel
from notqmail.delivery.session_error import BrokenError, UnreachableError
from notqmail.delivery.transaction import Transaction
from notqmail.mail.envelope import Envelope
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.protection import Protection
from notqmail.mail.reply import Reply


class Access(Protocol):
    """What an attempt needs of sessions.Access."""

    def take(self) -> Connection | None: ...
    async def open(self, peer: Candidate) -> Connection:
        """Raises UnreachableError."""

    def give_back(self, connection: Connection) -> None: ...


class _Ending(Enum):
    """How a session ended for this attempt."""

    ASKED = auto()  # every pending recipient was asked for, or cannot be
    AGAIN = auto()  # the rest needs a new connection
    DEAD = auto()  # it was no use: nobody was asked for


@dataclass(frozen=True, slots=True)
class _Word:
    """A reply on a recipient, who said it ("" for us), and over what."""

    reply: Reply
    host: str = ""
    dsn: bool = False
    tls: Protection | None = None

    @property
    def weight(self) -> tuple[bool, bool]:
        return (self.reply.transient, bool(self.host))


class Attempt:
    """Asks servers until `pending` is empty or nobody is left; then `outcomes` has all."""

    def __init__(
        self,
        envelope: Envelope,
        packer: Packer,
        *,
        access: Access,
        outbound: Outbound,
    ) -> None:
        self._envelope = envelope
        self._recipients = envelope.recipients
        self._packer = packer
        self._access = access
        self._outbound = outbound
        self._final: dict[int, _Word] = {}
        self._held: dict[int, _Word] = {}

    @property
    def pending(self) -> list[int]:
        """The recipients without a final word, by index."""
        return [i for i in range(len(self._recipients)) if i not in self._final]

    async def run(self, candidates: Callable[[], Iterable[Candidate]]) -> None:
        """Ask an idle session, then the candidates. Raises SpoolError when the message cannot be read."""
        done: set[Candidate] = set()
        idle = self._access.take()
        if idle is not None and await self._session(idle, set()) is _Ending.ASKED:
            done.add(idle.peer)
        if not self.pending:
            return
        for candidate in candidates():
            if candidate not in done and await self._host(candidate):
                done.add(candidate)
            if not self.pending or len(done) >= self._outbound.mx_sessions:
                return

    def hold(
        self,
        reply: Reply,
        which: Iterable[int] | None = None,
        host: str = "",
        tls: Protection | None = None,
    ) -> None:
        """Note a reason why these recipients (default: all pending) have no final word yet."""
        word = _Word(reply, host, tls=tls)
        for i in self.pending if which is None else which:
            known = self._held.get(i)
            if known is None or word.weight >= known.weight:
                self._held[i] = word

    def outcomes(self, at: float) -> Sequence[Outcome]:
        """One per recipient, in order."""
        nothing = _Word(Reply(451, "4.4.1", "no mail server could be asked"))
        made = []
        for i, recipient in enumerate(self._recipients):
            word = self._final.get(i) or self._held.get(i) or nothing
            action = _action(word.reply)
            dsn = word.dsn and action is Action.RELAYED
            made.append(Outcome(recipient, action, word.reply, word.host, at, dsn, word.tls))
        return made

    async def _host(self, candidate: Candidate) -> bool:
        """Ask one host, over as many connections as it wants; False when no transaction came about."""
        asked: set[int] = set()
        transactions = 0
        while True:
            try:
                connection = await self._access.open(candidate)
            except UnreachableError as trouble:
                host = candidate.host if trouble.heard else ""
                self.hold(trouble.reply, host=host, tls=trouble.tls)
                break
            ending = await self._session(connection, asked)
            transactions += connection.used
            if ending is _Ending.DEAD:
                self.hold(Reply(451, "4.4.2", f"lost the connection with {candidate}"))
            if ending is not _Ending.AGAIN:
                break
        return transactions > 0

    async def _session(self, connection: Connection, asked: set[int]) -> _Ending:
        """Offer the message for every pending recipient not in `asked`, and add them there. The session goes back
        to the pool in whatever state it is."""
        before = len(asked)
        try:
            while connection.usable and (batch := await self._batch(connection.features, asked)):
                if not await self._transact(connection, *batch, asked):
                    break
        finally:
            self._access.give_back(connection)
        if asked.issuperset(self.pending):
            return _Ending.ASKED
        return _Ending.AGAIN if len(asked) > before else _Ending.DEAD

    async def _batch(self, features: Features, asked: set[int]) -> tuple[Parcel, list[int]] | None:
        """The message and the recipients for the next transaction; None when there is nothing to ask for. What
        this server cannot have counts as asked."""
        packed = await self._packer.pack(features)
        traits = await self._packer.traits()
        batch: list[int] = []
        domains: set[str] = set()
        for i in self.pending:
            if i in asked:
                continue
            recipient = self._recipients[i]
            if isinstance(packed, Reply):
                refusal: Reply | None = packed
            else:
                refusal = objection(self._envelope, traits, recipient, features)
            if refusal is not None:
                self.hold(refusal, (i,))
                asked.add(i)
                continue
            domains.add(recipient.address.domain)
            if len(domains) > features.domains:
                break
            batch.append(i)
            if len(batch) >= min(features.recipients, self._outbound.recipients):
                break
        return (packed, batch) if batch and isinstance(packed, Parcel) else None

    async def _transact(
        self, connection: Connection, parcel: Parcel, batch: Sequence[int], asked: set[int]
    ) -> bool:
        """One transaction; False when the session turned out to be dead since its last one: nothing was asked."""
        fresh = connection.used == 0
        recipients = [self._recipients[i] for i in batch]
        transaction = Transaction(connection, parcel, recipients, self._outbound)
        broken: BrokenError | None = None
        try:
            await transaction.run()
        except BrokenError as trouble:
            if not (fresh or transaction.begun):
                return False
            broken = trouble
        for i, answer in zip(batch, transaction.answers, strict=True):
            if answer is not None:
                asked.add(i)
                word = _Word(
                    answer, connection.peer.host, connection.features.dsn, connection.protection
                )
                self._hear(i, word)
        if broken is not None:
            asked.update(self.pending)
            self._break(transaction, batch, broken, connection)
        elif connection.in_transaction:
            await connection.reset()
        return True

    def _hear(self, i: int, word: _Word) -> None:
        if word.reply.transient:
            self.hold(word.reply, (i,), word.host, word.tls)
        else:
            self._final[i] = word

    def _break(
        self,
        transaction: Transaction,
        batch: Sequence[int],
        broken: BrokenError,
        connection: Connection,
    ) -> None:
        """The session ended in a transaction. When the whole message was written it may have been accepted: asking
        another host now would make a duplicate likely, so that waits for the next attempt. A message that
        cannot be sent at all is final."""
        host, tls = connection.peer.host if broken.heard else "", connection.protection
        for n in transaction.accepted:
            if transaction.answers[n] is None and (transaction.committed or broken.reply.permanent):
                self._final[batch[n]] = _Word(broken.reply, host, tls=tls)
        self.hold(broken.reply, host=host, tls=tls)


def _action(reply: Reply) -> Action:
    if reply.transient:
        return Action.DELAYED
    return Action.FAILED if reply.permanent else Action.RELAYED
