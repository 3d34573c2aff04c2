"""One server for one data directory: a lock on DIR/data/lock, held as long as the process lives.

The kernel drops the lock with the process, however it dies, so there is no stale lock to remove.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from notqmail.mail.errors import ConfigError


class DataLock:
    """The right to open the databases under a data directory."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: Path) -> "DataLock":
        """Lock the data directory `path`; raise ConfigError when somebody has it, or it is not there."""
        file = path / "lock"
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            remedy = "make it with `notqmail init DIR`, or give it to the user notqmail runs as"
            raise ConfigError(str(file), f"cannot be opened ({error.strerror})", remedy) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise ConfigError(
                str(file),
                f"another notqmail (process {holder}) is using this data directory",
                "stop it first, or let this one use another data_dir",
            ) from None
        with suppress(OSError):  # a full disk costs no more than the number in the message
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Give it up; harmless when done twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
