"""Local delivery into Maildirs.

Small messages go in batches (`Batches`, `MaildirBatch`): what is delivered at the same time is made durable at the
same time. A large message is streamed through the offload pool piece by piece, never held whole. Every recipient gets
an outcome: whatever the file system says, the message waits, and the log says what to do about it.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from notqmail.config import Mailbox
from notqmail.delivery.batches import Batches
from notqmail.delivery.disk_trouble import disk_trouble
from notqmail.delivery.files import Files
from notqmail.delivery.letter import Letter, LetterStream, letter_for, octets, trace
from notqmail.delivery.mailbox_path import (
    escape_host,
    folder_directory,
    mailbox_path,
    tree_root,
)
from notqmail.delivery.maildir_batch import MaildirBatch
from notqmail.delivery.maildir_tree import MaildirTree
from notqmail.delivery.ownership import Ownership
from notqmail.mail.address import Address
from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Recipient
from notqmail.mail.errors import AddressError, SpoolError
from notqmail.mail.hop import Hop
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply
from notqmail.ports import Clock, Offload

log = logging.getLogger(__name__)

WORKERS = 3  # threads that wait for the disk
BATCH = 64  # entries made durable together
KNOWN = 4096  # mailboxes whose path need not be worked out again
STREAMS = 4  # large messages written at once
PIECE = (
    192 << 10
)  # octets gathered of a large message before a thread writes them; 512 KB in memory at most

DELIVERED = Reply(250, "2.0.0", "Delivered")
_UNREADABLE = Reply(451, "4.3.0", "Message cannot be read from the queue at the moment")
_NO_MAILBOX = Reply(451, "4.3.5", "Mail system incorrectly configured")


class _Place(NamedTuple):
    """Where an entry goes: the Maildir of its mailbox."""

    entry: Entry
    maildir: str


class MaildirTransport:
    """ports.Transport for hops whose `nexthop` is a mailbox address. `root` is the data directory.

    Raises ConfigError when the owner or group of `mailbox` does not exist.
    """

    def __init__(
        self,
        root: Path,
        mailbox: Mailbox,
        hostname: str,
        clock: Clock,
        offload: Offload,
        *,
        files: Files | None = None,
    ) -> None:
        template = str(root / mailbox.path)
        self._maildir = lru_cache(KNOWN)(lambda name: mailbox_path(template, Address.parse(name)))
        self._host = escape_host(hostname)
        self._clock, self._offload = clock, offload
        self._files = files or Files()
        self._ownership = Ownership.of(mailbox)
        self._tree = MaildirTree(tree_root(root, mailbox.path), self._ownership, self._files)
        self._batches: Batches[_Place, tuple[Outcome, ...]] = Batches(
            self._deliver_batch, workers=WORKERS, limit=BATCH, name="maildir"
        )
        self._streams = asyncio.Semaphore(STREAMS)
        self._streaming: set[asyncio.Task[list[Outcome]]] = set()

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        """Put the message into its mailbox, once for each of the entry's recipients.

        What has begun is finished even when the caller is cancelled: half of it would be worth nothing.
        """
        try:
            place = _Place(entry, self._maildir(entry.hop.nexthop))
        except AddressError as error:
            log.warning(
                "no such mailbox m=%s hop=%r error=%r", entry.id, entry.hop.nexthop, str(error)
            )
            return self._all(entry, _NO_MAILBOX)
        if entry.message.content.whole is not None:
            return await self._batches.submit(place)
        streaming = asyncio.create_task(self._stream_all(place))
        self._streaming.add(streaming)
        streaming.add_done_callback(self._streaming.discard)
        return await asyncio.shield(streaming)

    async def lane(self, hop: Hop) -> str:
        """All local mail is one destination: the disk."""
        return hop.transport

    async def close(self) -> None:
        """Finish what has been begun."""
        await self._batches.close()
        if self._streaming:
            await asyncio.wait(self._streaming)

    # -- small messages: in a worker thread -------------------------------------------------------------------

    def _deliver_batch(self, places: Sequence[_Place]) -> list[tuple[Outcome, ...]]:
        letters: list[list[Letter]] = []
        flat: list[tuple[Letter, _Place, Recipient]] = []
        for place in places:
            mine: dict[Address, Letter] = {}
            for recipient in place.entry.recipients:
                if recipient.address not in mine:  # RCPT given twice is one delivery
                    mine[recipient.address] = letter = self._letter(place, recipient)
                    flat.append((letter, place, recipient))
            letters.append([mine[r.address] for r in place.entry.recipients])
        batch = self._batch()
        try:
            batch.deliver(
                [letter for letter, _, _ in flat],
                (_octets(place.entry, recipient) for _, place, recipient in flat),
            )
        finally:
            batch.close()
        now = self._clock.now()
        return [
            tuple(
                self._outcome(place.entry, recipient, letter, now)
                for recipient, letter in zip(place.entry.recipients, mine, strict=True)
            )
            for place, mine in zip(places, letters, strict=True)
        ]

    # -- large messages: in pieces ----------------------------------------------------------------------------

    async def _stream_all(self, place: _Place) -> list[Outcome]:
        async with self._streams:
            return [await self._stream(place, recipient) for recipient in place.entry.recipients]

    async def _stream(self, place: _Place, recipient: Recipient) -> Outcome:
        letter, batch = self._letter(place, recipient), self._batch()
        try:
            await self._offload.run(batch.begin, letter)
            await self._copy(place.entry, recipient, letter, batch)
            await self._offload.run(batch.finish, [letter])
        except SpoolError as error:
            log.warning(
                "message cannot be read m=%s error=%r remedy=%r",
                place.entry.id,
                str(error),
                "see the disk that holds data_dir",
            )
            await self._offload.run(batch.abandon, letter)
            return Outcome(recipient, Action.DELAYED, _UNREADABLE, "", self._clock.now())
        finally:
            await self._offload.run(batch.close)
        return self._outcome(place.entry, recipient, letter, self._clock.now())

    async def _copy(
        self, entry: Entry, recipient: Recipient, letter: Letter, batch: MaildirBatch
    ) -> None:
        stream = LetterStream(trace(entry, recipient.address))
        pieces: list[bytes] = []
        size = 0
        async for chunk in entry.message.chunks():
            if not letter.pending:
                return
            piece = stream.feed(chunk)
            pieces.append(piece)
            size += len(piece)
            if size >= PIECE:
                size = 0
                await self._offload.run(batch.append, letter, _emptied(pieces))
        pieces.append(stream.finish())
        await self._offload.run(batch.append, letter, _emptied(pieces))

    # -- both -------------------------------------------------------------------------------------------------

    def _batch(self) -> MaildirBatch:
        return MaildirBatch(self._tree, self._files, self._ownership.file_mode)

    def _letter(self, place: _Place, recipient: Recipient) -> Letter:
        mark = place.entry.message.marks.get(recipient)
        folder = folder_directory(mark.folder) if mark is not None else ""
        return letter_for(place.entry, recipient.address, place.maildir, folder, self._host)

    def _outcome(self, entry: Entry, recipient: Recipient, letter: Letter, now: float) -> Outcome:
        if letter.failure is None:
            return Outcome(recipient, Action.DELIVERED, DELIVERED, "", now)
        what = disk_trouble(letter.failure)
        log.warning(
            "local delivery delayed m=%s maildir=%r error=%r remedy=%r",
            entry.id,
            letter.maildir,
            letter.failure.strerror,
            what.remedy,
        )
        return Outcome(recipient, Action.DELAYED, what.reply, "", now)

    def _all(self, entry: Entry, reply: Reply) -> list[Outcome]:
        now = self._clock.now()
        return [Outcome(r, Action.DELAYED, reply, at=now) for r in entry.recipients]


def _octets(entry: Entry, recipient: Recipient) -> bytes:
    whole = entry.message.whole
    assert whole is not None  # only what is in memory comes here
    return octets(trace(entry, recipient.address), whole)


def _emptied(pieces: list[bytes]) -> bytes:
    """Join pieces and keep none: no name of the caller's holds on to them while the next are gathered."""
    joined = b"".join(pieces)
    pieces.clear()
    return joined
