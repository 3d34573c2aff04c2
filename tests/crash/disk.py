"""A disk that can lose its power: a journaled ext4 in an image file, which lies on a second ext4 of the same making.

    outer ext4 (loop-mounted image)     plays the disk: its page cache is the disk's volatile write cache,
      └─ inner.img                      and a flush of the inner disk is an fsync of this file
           └─ inner ext4 (loop-mounted) holds the server and its mail

The shutdown of ext4 (`EXT4_IOC_SHUTDOWN` without a log flush) stops a file system as if the machine had died: what it has
not written is never written. On the inner one this loses what the kernel still had; on the outer one it loses also what
the inner file system had written to its disk without a flush after it.
"""

import fcntl
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.support.places import open_directory

_MB = 1 << 20
_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
_NO_LOG_FLUSH = 2
_PATIENCE = 20.0  # seconds to unmount in


class Cut(StrEnum):
    """What is lost."""

    KERNEL = "the kernel dies"  # inner file system: pages and journal that were not written
    POWER = "the power goes"  # outer: also what the disk had in its cache

    @property
    def brief(self) -> str:
        return self.name.lower()


class UnavailableError(Exception):
    """This machine cannot mount what is needed; the text is one sentence."""


class DamagedError(Exception):
    """The file system is not whole after a cut; the text is what mount or e2fsck said."""


@dataclass(frozen=True, slots=True)
class Disk:
    """`path` is the file system to write on. All names are below a directory of its own."""

    directory: Path

    @property
    def path(self) -> Path:
        return self.directory / "inner"

    @property
    def _outer(self) -> Path:
        return self.directory / "outer"

    @property
    def _image(self) -> Path:
        return self._outer / "inner.img"

    def cut(self, kind: Cut) -> None:
        """Stop it at once; whatever is written to it from now on fails."""
        descriptor = os.open(self.path if kind is Cut.KERNEL else self._outer, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def restore(self) -> None:
        """Bring it back as after a reboot; nobody may use it now. Raises DamagedError."""
        try:
            self.unmount()
            _run("mount", "-o", "loop", str(self.directory / "outer.img"), str(self._outer))
            self._mount()  # replays the journal
            _unmount(self.path)
        except UnavailableError as error:  # it was available before
            raise DamagedError(str(error)) from None
        checked = subprocess.run(
            ["/sbin/e2fsck", "-fn", str(self._image)], capture_output=True, text=True, check=False
        )
        if checked.returncode:
            raise DamagedError(checked.stdout)
        self._mount()

    def make(self, megabytes: int) -> None:
        """Make and mount both file systems. Raises UnavailableError."""
        self.path.mkdir()
        self._outer.mkdir()
        outer = self.directory / "outer.img"
        _fill(outer, megabytes + 32 + megabytes // 8)
        _format(outer)
        _run("mount", "-o", "loop", str(outer), str(self._outer))
        _fill(self._image, megabytes)  # whole, so that writing to it changes no metadata outside
        _format(self._image)
        self._mount()
        os.sync()

    def unmount(self) -> None:
        """Take both away, as far as they are there."""
        for path in (self.path, self._outer):
            while path.is_mount():
                _unmount(path)

    def _mount(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.path))


@contextmanager
def mounted(megabytes: int = 512) -> Iterator[Disk]:
    """Make a disk; at the end of the block nothing of it is left. Raises UnavailableError."""
    if os.geteuid() != 0:
        raise UnavailableError("mounting a file system needs root")
    with open_directory(Path("/var/tmp")) as directory:
        disk = Disk(directory)
        try:
            disk.make(megabytes)
            yield disk
        finally:
            disk.unmount()


def _unmount(path: Path) -> None:
    """Unmount; a loop device that was just given back may hold its file for a moment longer."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            _run("umount", str(path))
        except UnavailableError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


def _fill(path: Path, megabytes: int) -> None:
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(bytes(_MB))
        os.fsync(file.fileno())


def _format(path: Path) -> None:
    whole = "lazy_itable_init=0,lazy_journal_init=0"
    _run("/sbin/mkfs.ext4", "-q", "-F", "-E", whole, "-J", "size=16", str(path))


def _run(*command: str) -> None:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UnavailableError(f"{command[0]} is not installed") from None
    if ran.returncode:
        said = " ".join(ran.stderr.split()) or f"status {ran.returncode}"
        raise UnavailableError(f"{command[0]} does not work here: {said}")
