"""A stand-in for the queue behind local submission: keeps what it is given, and answers as it is told."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from notqmail.mail.envelope import Envelope
from notqmail.mail.errors import NotqmailError
from notqmail.mail.reply import Reply
from notqmail.system.submission import LocalUser

OK = Reply(250, "2.0.0", "queued")


@dataclass
class Submissions:
    """`submit` keeps messages that came whole. `reply` is what it answers, `trouble` what it raises instead."""

    reply: Reply = OK
    trouble: NotqmailError | None = None
    early: bool = False  # answer without having read the content
    taken: list[tuple[LocalUser, Envelope, bytes]] = field(default_factory=list)

    async def submit(
        self, user: LocalUser, envelope: Envelope, chunks: AsyncIterator[bytes]
    ) -> Reply:
        if self.early:
            return self.reply
        content = b"".join([chunk async for chunk in chunks])
        if self.trouble is not None:
            raise self.trouble
        if self.reply.positive:
            self.taken.append((user, envelope, content))
        return self.reply
