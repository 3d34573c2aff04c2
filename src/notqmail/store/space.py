"""Free space on the queue's disk: below the limit new mail is refused while there is room for what is here."""

import asyncio
from concurrent.futures import Executor, Future
from pathlib import Path

from notqmail.mail.errors import SpoolError
from notqmail.ports import Clock
from notqmail.store.blobs import disk_errors
from notqmail.store.files import Files

LIFE = 1.0  # seconds a look is good for


class FreeSpace:
    """Knows the free space as of at most LIFE seconds ago. Looking may block, so a file thread does it."""

    def __init__(self, path: Path, least: int, clock: Clock, files: Files, pool: Executor) -> None:
        self._path, self._least, self._clock = path, least, clock
        self._files, self._pool = files, pool
        self._free = least
        self._looked = float("-inf")
        self._looking: Future[None] | None = None
        self._trouble: SpoolError | None = None

    def refresh(self) -> None:
        """Start a look when the last one is too old; never waits."""
        now = self._clock.monotonic()
        if now - self._looked >= LIFE and self.known:
            self._looked = now
            self._looking = self._pool.submit(self._look)

    @property
    def known(self) -> bool:
        """False while a look is under way: what the one before it saw may be long ago."""
        return self._looking is None or self._looking.done()

    async def wait_known(self) -> None:
        """Wait for the look that is under way, if one is."""
        if self._looking is not None and not self.known:
            await asyncio.shield(asyncio.wrap_future(self._looking))

    def check(self) -> None:
        """Raise SpoolError(full) when there is too little, SpoolError when nobody can say."""
        if self._trouble is not None:
            raise self._trouble
        if self._free < self._least:
            raise SpoolError(
                f"{self._free >> 20} MB are free for the queue, queue.free_space asks for "
                f"{self._least >> 20} MB",
                full=True,
            )

    def _look(self) -> None:
        try:
            with disk_errors():
                self._free = self._files.free(self._path)
            self._trouble = None
        except SpoolError as error:
            self._trouble = error
