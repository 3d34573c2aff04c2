"""A whole queue without a world: memory store, scripted transports, virtual time.

async with QueueWorld() as world:
    id = await world.send("alice@example.org", "bob@example.net")
    await asyncio.sleep(86400)
    assert world.wire.delivered[id, "bob@example.net"] == 1
"""

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from notqmail.config import Config, Domain, Queue
from notqmail.mail.address import Address
from notqmail.mail.entry import QueueFilter, QueueRow
from notqmail.mail.envelope import Envelope, Notify, Recipient, Ret
from notqmail.mail.message import Message
from notqmail.queue.bounce import Reporter
from notqmail.queue.intake import Intake
from notqmail.queue.manager import Manager
from notqmail.queue.route import Router
from notqmail.store.memory import MemoryStore
from tests.support.clock import FakeClock
from tests.support.directory import MemoryDirectory
from tests.support.transports import DELIVERED, ScriptedTransport

HOSTNAME = "mx.example.org"
CONTENT = b"From: alice@example.org\r\nSubject: hi\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n"


class MemoryJournal:
    """ports.Journal that keeps everything."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, Any]] = []

    def write(self, record: Mapping[str, Any]) -> None:
        self.records.append(record)

    async def find(self, ref: str, limit: int = 50) -> Sequence[Mapping[str, Any]]:
        return [record for record in self.records if ref in str(record)][:limit]

    async def close(self) -> None:
        """Nothing is open."""


class QueueWorld:
    """`local` and `wire` are the two transports; change `directory`, `store` and the scripts at will."""

    def __init__(
        self,
        queue: Queue | None = None,
        *,
        mailboxes: Iterable[str] = ("alice@example.org", "postmaster@example.org"),
        aliases: Mapping[str, Sequence[str]] | None = None,
        postmaster: str = "",
        seed: int = 1,
    ) -> None:
        self.clock = FakeClock()
        self.random = random.Random(seed)
        self.queue = queue or Queue()
        self.config = Config(
            hostname=HOSTNAME,
            domain=(Domain(name="example.org"),),
            postmaster=postmaster,
            queue=self.queue,
        )
        self.directory = MemoryDirectory(["example.org"], mailboxes, aliases)
        self.store = MemoryStore(self.clock)
        self.journal = MemoryJournal()
        self.local = ScriptedTransport(self.clock, lambda entry, recipient: DELIVERED)
        self.wire = ScriptedTransport(self.clock)
        self.start()

    def start(self) -> None:
        """Build what a process builds; again after a crash (`store.restart()`)."""
        self.router = Router(self.directory, self.config)
        self.intake = Intake(self.router, self.clock, self.random, journal=self.journal)
        self.manager = Manager(
            self.store,
            {"local": self.local, "smtp": self.wire},
            Reporter(self.intake, self.clock, self.journal, HOSTNAME),
            clock=self.clock,
            journal=self.journal,
            queue=self.queue,
            postmaster=self.router.postmaster,
        )
        self.intake.on_entries = self.manager.take
        self.running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "QueueWorld":
        self.running = asyncio.create_task(self.manager.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.manager.stop(0.0)
        assert self.running is not None
        await self.running

    async def send(
        self,
        sender: str | None,
        *recipients: str | Recipient,
        content: bytes = CONTENT,
        notify: Notify | None = None,
        ret: Ret | None = None,
        smtputf8: bool = False,
    ) -> str:
        """Put a message into the queue through the door; give its id."""
        draft = self.store.draft()
        draft.write(content)
        envelope = Envelope(
            Address.parse(sender) if sender else None,
            tuple(
                r if isinstance(r, Recipient) else Recipient(Address.parse(r), notify)
                for r in recipients
            ),
            ret=ret,
            smtputf8=smtputf8,
        )
        return await self.intake.accept(draft, Message(envelope, draft.content()), None)

    async def rows(self, **which: Any) -> Sequence[QueueRow]:
        """What is in the queue."""
        return await self.store.find(QueueFilter(**which))

    def reports(self, why: str = "") -> list[Mapping[str, Any]]:
        """The journal's records of reports: all, or of one kind."""
        return [
            record
            for record in self.journal.records
            if record["kind"] == "origin" and why in ("", record["why"])
        ]

    def mail_for(self, recipient: str) -> list[bytes]:
        """What was offered to the local transport for an address, whole."""
        wanted = Address.parse(recipient)
        return [
            entry.message.whole or b""
            for entry in self.local.attempts
            if any(r.address == wanted for r in entry.recipients)
        ]
