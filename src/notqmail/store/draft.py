"""A message on its way into the SQLite store: in memory while small, in a blob file beyond.

Memory is bounded whatever the size of the message: what is held and not yet handed to a file thread, and the one
batch that a thread is writing. At most max(BATCH, queue.inline) + BATCH + one chunk.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass

from notqmail.mail.entry import Entry, Routed
from notqmail.mail.errors import SpoolError
from notqmail.mail.message import Content, Octets
from notqmail.store.blobs import BlobContent, Blobs, Spill
from notqmail.store.space import FreeSpace

BATCH = 256 << 10  # octets handed to a file thread at once


@dataclass(frozen=True, slots=True)
class Home:
    """What a draft needs of its store. `insert` makes the message durable once its content is in place."""

    inline: int
    pool: Executor
    blobs: Blobs
    space: FreeSpace
    insert: Callable[[Routed, Content], Awaitable[Sequence[Entry]]]


class SqliteDraft:
    """ports.Draft."""

    __slots__ = ("_ended", "_flight", "_held", "_held_size", "_home", "_octets", "_size", "_spill")

    def __init__(self, home: Home) -> None:
        self._home = home
        self._held: list[bytes] = []
        self._held_size = 0
        self._size = 0
        self._octets: Octets | None = None  # all of it, once somebody asked
        self._spill: Spill | None = None
        self._flight: Future[None] | None = None
        self._ended = False

    @property
    def size(self) -> int:
        return self._size

    def write(self, chunk: bytes) -> Awaitable[None] | None:
        size = len(chunk)
        self._held.append(chunk)
        self._size += size
        self._held_size += size
        if self._size <= self._home.inline:
            return None
        if not self._busy() and self._held_size >= BATCH:
            self._launch()
        return None if self._flight is None else self._landing(self._flight)

    def content(self) -> Content:
        return self._inline() or SpilledContent(self)

    async def flush(self) -> Spill:
        """Wait until all octets are in the file (written, not synced); give the file. Raises SpoolError."""
        while self._busy() or self._held:
            if self._flight is None:
                self._launch()
            else:
                await self._landing(self._flight)
        return self.file()

    async def commit(self, routed: Routed) -> Sequence[Entry]:
        home = self._home
        try:
            await home.space.wait_known()
            home.space.check()
        except SpoolError:
            self.discard()
            raise
        content = await self.place(routed.id)
        try:
            return await home.insert(routed, content)
        except SpoolError as error:
            if error.full:  # otherwise the row may yet turn out to be there: let the next start see
                self._drop()
            raise

    async def place(self, id: str) -> Content:
        """End the draft and give its content where message `id` will find it, on disk unless it belongs in the row.
        Raises SpoolError, and keeps nothing then."""
        self._end()
        small = self._inline()
        if small is not None:
            return small
        try:
            spill = await self.flush()
            await asyncio.wrap_future(self._home.pool.submit(spill.keep, id))
        except SpoolError:
            self._drop()
            raise
        return self.read()

    def discard(self) -> None:
        self._end()
        self._held = []
        self._drop()

    def _end(self) -> None:
        if self._ended:
            raise RuntimeError("the draft has been committed or discarded already")
        self._ended = True

    def _inline(self) -> Octets | None:
        """Give small content; what is judged, committed and delivered is then one object."""
        if self._size > self._home.inline:
            return None
        if self._octets is None or self._octets.size != self._size:
            self._octets = Octets(b"".join(self._held))
            self._held = [self._octets.whole]
        return self._octets

    def file(self) -> Spill:
        """The file of a draft that is too large for memory."""
        if self._spill is None:
            self._spill = self._home.blobs.spill()
        return self._spill

    def read(self) -> BlobContent:
        """What is in the file."""
        return BlobContent(self.file().path, self._size, self._home.pool, self._home.blobs.files)

    def _launch(self) -> None:
        """Hand what is held to a file thread."""
        data = b"".join(self._held)
        self._held, self._held_size, self._octets = [], 0, None
        self._flight = self._home.pool.submit(self.file().write, data)

    def _busy(self) -> bool:
        """Say whether a write is in flight; raise SpoolError when one failed."""
        if self._flight is not None and self._flight.done():
            self._flight.result()
            self._flight = None
        return self._flight is not None

    def _landing(self, flight: Future[None]) -> Awaitable[None]:
        # shielded: who stops waiting does not stop the write, whose octets are in no other place
        landed = asyncio.wrap_future(flight)
        landed.add_done_callback(_seen)
        return asyncio.shield(landed)

    def _drop(self) -> None:
        """Remove the file, after the write that may be in flight; a descriptor must not be closed under it."""
        spill, flight = self._spill, self._flight
        if spill is None:
            return
        if flight is not None and not flight.done():
            flight.add_done_callback(lambda _: spill.drop())
            return
        with suppress(RuntimeError):  # the store is closed: the file goes at the next start
            self._home.pool.submit(spill.drop)


def _seen(landed: "asyncio.Future[None]") -> None:
    """Look at how a write ended that nobody may wait for any more: `_busy` tells those who come."""
    if not landed.cancelled():
        landed.exception()


class SpilledContent:
    """Content of a draft that is partly in its file: what memory holds is written before it is read."""

    __slots__ = ("_draft", "size")

    def __init__(self, draft: SqliteDraft) -> None:
        self._draft = draft
        self.size = draft.size

    @property
    def whole(self) -> bytes | None:
        return None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read it; raises SpoolError."""
        await self._draft.flush()
        async for chunk in self._draft.read().chunks():
            yield chunk
