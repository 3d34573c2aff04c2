"""What accounts have sent, on disk: one thread counts, message by message."""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from notqmail.mail.address import Address
from notqmail.mail.errors import SpoolError
from notqmail.mail.sending import Hold, SendingLimits
from notqmail.ports import Clock
from notqmail.system.journal_file import broken, set_aside
from notqmail.system.offload import ThreadPool
from notqmail.system.sending_file import SendingFile

BACKLOG: Final = 1000  # messages that wait to be counted; over it their sessions wait

_log = logging.getLogger("notqmail.policy")

T = TypeVar("T")


class SqliteSending:
    """ports.Sending. The file is opened with the first use, so after privileges are dropped."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._pool = ThreadPool(1, BACKLOG, "sending")
        self._file: SendingFile | None = None
        self.on_hold: Callable[[], None] | None = None

    async def count(
        self, account: str, recipients: Sequence[Address], size: int, limits: SendingLimits
    ) -> Hold | None:
        now = self._clock.now()
        hold = await self._run(lambda file: file.count(account, recipients, size, limits, now))
        if hold is not None and not hold.told and self.on_hold is not None:
            self.on_hold()
        return hold

    async def holds(self) -> Sequence[Hold]:
        return await self._run(SendingFile.holds)

    async def told(self, account: str) -> None:
        await self._run(lambda file: file.told(account))

    async def release(self, account: str) -> bool:
        return await self._run(lambda file: file.release(account))

    async def close(self) -> None:
        await self._pool.run(self._close)
        await self._pool.close()

    async def _run(self, work: Callable[[SendingFile], T]) -> T:
        return await self._pool.run(self._perform, work)

    # From here on: the thread.

    def _perform(self, work: Callable[[SendingFile], T]) -> T:
        try:
            if self._file is None:
                self._file = SendingFile(self._path, self._clock.now())
            return work(self._file)
        except (sqlite3.Error, OSError) as error:
            _log.error("what accounts send cannot be counted path=%s error=%s", self._path, error)
            if isinstance(error, sqlite3.Error) and broken(error):
                self._begin_anew()
            full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
            raise SpoolError("what accounts send cannot be counted", full=full) from None

    def _begin_anew(self) -> None:
        self._close()
        try:
            aside = set_aside(self._path)
        except OSError:  # somebody has taken it away already
            return
        _log.error("no account is held any more, the file was damaged kept=%s", aside)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
