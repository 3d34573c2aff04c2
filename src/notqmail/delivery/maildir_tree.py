"""Directories of mailboxes: made when first needed, each name durable before mail rests below it.

A name is durable when its parent directory has been fsynced after it was made. Whether an earlier process got that far
cannot be seen, so the first use of a directory in this process always fsyncs its parent; what has been seen to is
remembered (`_durable`), and forgotten when somebody removes a Maildir under us.
"""

import os
import threading
from collections.abc import Iterator
from pathlib import PurePosixPath

from notqmail.delivery.files import Files
from notqmail.delivery.mailbox_path import SUBDIRECTORIES
from notqmail.delivery.ownership import Ownership

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FOLDER_MARKER = "maildirfolder"  # Maildir++: an empty file that tells a folder from a Maildir
_MARKER = os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
REMEMBER = 50_000  # directories; beyond that all is forgotten, which costs fsyncs and no mail


class MaildirTree:
    """Makes Maildirs below `root`, which exists. Used from several threads at once."""

    def __init__(
        self, root: str, ownership: Ownership, files: Files, remember: int = REMEMBER
    ) -> None:
        self._root, self._ownership, self._files = root, ownership, files
        self._remember = remember
        self._durable: set[str] = set()
        self._lock = threading.Lock()

    def ensure(self, maildir: str, home: str) -> None:
        """Make a Maildir and what is missing above it; return when it would survive a power failure.

        `home` is the Maildir that `maildir` is a folder of, or itself. Raises OSError.
        """
        if maildir in self._durable:
            return
        with self._lock:
            if len(self._durable) > self._remember:
                self._durable.clear()
            for path in self._below_root(maildir):
                if path in self._durable:
                    continue
                self._make(path)
                self._sync(path.rpartition("/")[0] or "/")
                if path in (home, maildir):
                    self._fill(path, folder=path != home)
                else:
                    self._durable.add(path)
            self._sync(maildir)  # and home was synced for the folder's name in it
            self._durable.update((home, maildir))

    def forget(self, maildir: str) -> None:
        """Something in the path is not there any more: look at all of it the next time."""
        with self._lock:
            self._durable.difference_update(self._below_root(maildir))

    def _below_root(self, path: str) -> Iterator[str]:
        """Yield every directory below the root down to `path`."""
        here = self._root
        for part in PurePosixPath(path).relative_to(self._root).parts:
            here = f"{here.rstrip('/')}/{part}"
            yield here

    def _make(self, path: str) -> None:
        files, owner = self._files, self._ownership
        try:
            files.mkdir(path, owner.directory_mode)
        except FileExistsError:
            return
        try:
            if owner.given:
                files.chown(path, owner.uid, owner.gid)
            files.chmod(path, owner.directory_mode)  # mkdir(2) has the umask taken off
        except OSError:
            files.rmdir(path)  # it must not stay as it should not be
            raise

    def _fill(self, maildir: str, *, folder: bool) -> None:
        for name in SUBDIRECTORIES:
            self._make(f"{maildir}/{name}")
        if folder:
            fd = self._files.open(f"{maildir}/{FOLDER_MARKER}", _MARKER, self._ownership.file_mode)
            try:
                self.own(fd)
            finally:
                self._files.close(fd)

    def own(self, fd: int) -> None:
        """Give an open file its owner and mode."""
        owner = self._ownership
        if owner.given:
            self._files.fchown(fd, owner.uid, owner.gid)
        if owner.file_mode & 0o177:  # more than a umask of 077 leaves
            self._files.fchmod(fd, owner.file_mode)

    def _sync(self, path: str) -> None:
        fd = self._files.open(path, DIRECTORY)
        try:
            self._files.fsync(fd)
        finally:
            self._files.close(fd)
