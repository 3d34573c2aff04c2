"""File operations as the blob store needs them: each one system call, so that a test can see and withhold each.

All of them block, and are called in the file threads only. They raise OSError.
"""

import os
from collections.abc import Sequence
from pathlib import Path


class Files:
    """The real ones."""

    def create(self, path: Path) -> int:
        """Open a new file for writing; it must not be there yet."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def open(self, path: Path) -> int:
        """Open a file for reading."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        """Read from `offset` on, at most `size` octets."""
        return os.pread(descriptor, size, offset)

    def exists(self, path: Path) -> bool:
        return path.exists()

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of it."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Return when the file's octets are on disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def link(self, old: Path, new: Path) -> None:
        """Give the file a second name."""
        new.hardlink_to(old)

    def remove(self, path: Path) -> None:
        """Remove the name, if it is there."""
        path.unlink(missing_ok=True)

    def make_directory(self, path: Path) -> bool:
        """Make it; False when it was there already."""
        try:
            path.mkdir(0o700)
        except FileExistsError:
            return False
        return True

    def sync_directory(self, path: Path) -> None:
        """Return when the names in a directory are on disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def names(self, path: Path) -> Sequence[str]:
        """What is in a directory."""
        return sorted(entry.name for entry in path.iterdir())

    def free(self, path: Path) -> int:
        """Octets that may still be written to the file system of `path`."""
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize
