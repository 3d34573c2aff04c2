"""The queue on SQLite, with blob files for large content: the default store.

Threads: the writer (the one connection that writes), a reader for what people ask, and a few for files. The event
loop never touches the disk. Under the data directory: queue.sqlite, blobs/, lock.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from notqmail.config import Queue
from notqmail.mail.entry import Entry, QueueFilter, QueueRow, Routed
from notqmail.mail.errors import SpoolError, StaleTokenError
from notqmail.mail.hop import Hop
from notqmail.mail.message import Content, Octets
from notqmail.mail.outcome import Outcome
from notqmail.ports import Clock
from notqmail.store import listing, ops
from notqmail.store.blobs import BlobContent
from notqmail.store.database import Connect, Database, connect, snapshot
from notqmail.store.draft import Home, SqliteDraft
from notqmail.store.files import Files
from notqmail.store.progress import progress_of
from notqmail.store.rows import Row, pack, split, unpack_entry, unpack_login, unpack_message
from notqmail.store.space import FreeSpace
from notqmail.store.start import Opened, open_files
from notqmail.store.writer import Writer, Writing

log = logging.getLogger(__name__)

FILE_THREADS = 8
T = TypeVar("T")


class SqliteStore:
    """ports.Store. Made by `start`, on the event loop it is used on."""

    def __init__(
        self,
        opened: Opened,
        inline: int,
        *,
        pool: Executor,
        readers: Executor,
        writer: Writing,
        space: FreeSpace,
        clock: Clock,
    ) -> None:
        self._lock, self._reader, self._blobs = opened.lock, opened.reader, opened.blobs
        self._clock = clock
        self._home = Home(inline, pool, opened.blobs, space, self._insert)
        self._writer, self._readers = writer, readers
        self._left: dict[str, Content] = {}  # in place for a settlement that is tried again
        self._closed = False

    @classmethod
    async def start(
        cls,
        path: Path,
        queue: Queue,
        clock: Clock,
        *,
        lock: bool = True,
        files: Files | None = None,
        connect: Connect = connect,
        pool: Callable[[int, str], Executor] = ThreadPoolExecutor,
        writer: Callable[[Database, asyncio.AbstractEventLoop], Writing] = Writer,
    ) -> "SqliteStore":
        """Open the queue in the data directory `path`; it is made, or upgraded, when needed. What a crash left is
        cleaned up, and the leases of earlier runs are void. Raises ConfigError when another server uses it,
        and SpoolError.

        `lock`: False when the caller holds the DataLock. For tests: `files` and `connect` are the disk, `pool` (from a
        number of threads and a name) and `writer` what runs beside the event loop.
        """
        files = files or Files()
        opened = await asyncio.to_thread(open_files, path, files, connect, lock=lock)
        in_files = pool(FILE_THREADS, "store-files")
        space = FreeSpace(path, queue.free_space, clock, files, in_files)
        writing = writer(opened.writer, asyncio.get_running_loop())
        readers = pool(1, "store-reader")
        return cls(
            opened,
            queue.inline,
            pool=in_files,
            readers=readers,
            writer=writing,
            space=space,
            clock=clock,
        )

    @property
    def trouble(self) -> str:
        """Why new mail is not taken: the last write failed, or there is no room; "" when it is. For the health page."""
        space = self._home.space
        space.refresh()
        try:
            space.check()
        except SpoolError as error:
            return str(error)
        return str(self._writer.trouble or "")

    def draft(self) -> SqliteDraft:
        """Begin a message. Raises SpoolError when there is too little free space; the commit looks again."""
        space = self._home.space
        space.refresh()
        if space.known:
            space.check()
        return SqliteDraft(self._home)

    async def claim(
        self, now: float, limit: int, skip: Sequence[str] = (), skip_transport: str = ""
    ) -> Sequence[Entry]:
        skipped = ops.Skipped.of(skip, skip_transport)

        def give_back(taken: Sequence[ops.Taken]) -> None:
            self._give_back([self._entry(one) for one in taken])

        taken = await self._writer.submit(lambda db: ops.take(db, now, limit, skipped), give_back)
        return [self._entry(one) for one in taken]

    async def settle(
        self,
        entry: Entry,
        outcomes: Sequence[Outcome],
        next_due: float | None = None,
        children: Sequence[Routed] = (),
        delay_told: bool = False,
    ) -> Sequence[Entry]:
        rest = progress_of(entry, outcomes, next_due, delay_told)
        placed = await self._place_all(children)
        packed = [pack(child, content.whole) for child, content in placed]
        born = [new for c, content in placed if not c.held for new in split(c, content)]
        claim = _claim(entry)

        def record(database: Database) -> bool:
            gone = False
            if rest is None:
                gone = ops.finish(database, claim)
            else:
                ops.progress(database, claim, rest)
            for message in packed:
                ops.insert(database, message)
            return gone

        try:
            gone = await self._writer.submit(record, lambda _: self._give_back(born))
        except SpoolError as error:
            if error.full or isinstance(error, StaleTokenError):
                await self._remove_files(placed)
            else:  # the rows may yet turn out to be there; who tries again finds the files in their place
                self._left.update((c.id, content) for c, content in placed if content.whole is None)
            raise
        for child in children:
            self._left.pop(child.id, None)
        if gone and entry.message.content.whole is None:
            await self._in_files(self._blobs.remove_all, [entry.id])
        return born

    async def release(self, entries: Sequence[Entry], due: float | None = None) -> None:
        claims = [_claim(entry) for entry in entries]
        refused = await self._writer.submit(lambda db: ops.release(db, claims, due))
        if refused:
            raise ops.stale(refused)

    async def find(self, which: QueueFilter, limit: int = 1000) -> Sequence[QueueRow]:
        """Raises AddressError when the filter names no address."""
        now = self._clock.now()
        condition = listing.condition(which, now)
        return await self._read(lambda db: listing.find(db, condition, limit, now))

    async def open(self, id: str) -> Routed | None:
        found = await self._read(lambda db: ops.pending_recipients(db, id))
        if found is None:
            return None
        row, recipients = found
        message = unpack_message(row, recipients, self._content(row))
        hops = tuple(Hop.of(destination) for _, destination, *_ in recipients)
        return Routed(id, message, hops, row[1], unpack_login(row))

    async def edit(
        self, which: QueueFilter, action: listing.Action, now: float
    ) -> Sequence[QueueRow]:
        """Only `delete` is for single recipients: the others of an entry are held, released and retried with the
        one that matches. `retry` leaves what is held, `release` what is not. Raises AddressError as `find`."""
        condition = listing.condition(which, now)
        rows: list[QueueRow] = []
        for page in listing.pages(await self._read(lambda db: listing.keys(db, condition))):
            edited = await self._writer.submit(
                partial(listing.edit, page=page, action=action, now=now)
            )
            rows.extend(edited.rows)
            await self._in_files(self._blobs.remove_all, edited.files)
        return rows

    async def next_due(self, skip: Sequence[str] = (), skip_transport: str = "") -> float | None:
        skipped = ops.Skipped.of(skip, skip_transport)
        return await self._writer.submit(lambda db: ops.next_due(db, skipped))

    async def counts(self) -> Mapping[str, int]:
        now = self._clock.now()
        return await self._read(lambda db: listing.counts(db, now))

    async def close(self) -> None:
        """Finish what was asked for, fold the log into the database, give up the lock. May be called again."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        # the reader goes first: who closes last folds the log, and only the writer may
        await loop.run_in_executor(self._readers, self._reader.close)
        await loop.run_in_executor(None, self._readers.shutdown)
        await self._writer.close()
        await loop.run_in_executor(None, self._home.pool.shutdown)
        if self._lock is not None:
            self._lock.release()

    async def _insert(self, routed: Routed, content: Content) -> Sequence[Entry]:
        entries = [] if routed.held else split(routed, content)
        packed = pack(routed, content.whole)
        await self._writer.submit(
            lambda db: ops.insert(db, packed), lambda _: self._give_back(entries)
        )
        return entries

    async def _place_all(self, children: Sequence[Routed]) -> Sequence[tuple[Routed, Content]]:
        """Put the content of messages made here where their entries will find it: all of it, or SpoolError."""
        placed: list[tuple[Routed, Content]] = []
        try:
            for child in children:
                placed.append((child, await self._place(child)))
        except SpoolError:
            await self._remove_files(placed)
            raise
        return placed

    async def _place(self, child: Routed) -> Content:
        if left := self._left.get(child.id):
            return left
        content = child.message.content
        if isinstance(content, BlobContent):  # a forward: one file with two names
            path = await self._in_files(self._blobs.share, content.path, child.id)
            if path is not None:
                return BlobContent(path, content.size, self._home.pool, self._blobs.files)
        draft = SqliteDraft(self._home)
        try:
            async for chunk in content.chunks():
                if (writing := draft.write(chunk)) is not None:
                    await writing
        except SpoolError:
            draft.discard()
            raise
        return await draft.place(child.id)

    def _content(self, row: Row) -> Content:
        id, size, in_file, inline = row[0], *row[6:9]
        if in_file:
            return BlobContent(self._blobs.path(id), size, self._home.pool, self._blobs.files)
        return Octets(inline)

    def _entry(self, taken: ops.Taken) -> Entry:
        message = unpack_message(taken.message, taken.recipients, self._content(taken.message))
        return unpack_entry(taken.entry, message, taken.message[1])

    def _give_back(self, entries: Sequence[Entry]) -> None:
        """Release what was claimed for somebody who has stopped waiting for it."""
        if entries and not self._closed:
            claims = [_claim(entry) for entry in entries]
            released = self._writer.submit(lambda db: ops.release(db, claims, None))
            released.add_done_callback(_warn_of_leased)

    async def _remove_files(self, placed: Sequence[tuple[Routed, Content]]) -> None:
        """Undo _place_all."""
        ids = [child.id for child, content in placed if content.whole is None]
        for id in ids:
            self._left.pop(id, None)
        await self._in_files(self._blobs.remove_all, ids)

    async def _in_files(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._home.pool, function, *args)

    async def _read(self, query: Callable[[Database], T]) -> T:
        """Run a query on the reader, on one state of the queue."""
        if self._closed:
            raise SpoolError("the queue is closed")
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, snapshot, self._reader, query
        )


def _warn_of_leased(released: "asyncio.Future[Sequence[ops.Claim]]") -> None:
    """Look at the end of a release that nobody waits for."""
    if not released.cancelled() and (error := released.exception()) is not None:
        log.warning("entries stay leased until the next start error=%r", str(error))


def _claim(entry: Entry) -> ops.Claim:
    return entry.id, entry.hop.destination, entry.token
