"""A file system to measure on: ext4 with a journal, in an image file of its own.

On an ext4 without a journal, creating files soon after deleting others is two to five times slower at random, so
figures from there mean little.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path("/var/tmp")  # where images are made
_MB = 1 << 20
_OCTETS_PER_INODE = 4096  # a backlog of small messages is several files for each


@dataclass(frozen=True, slots=True)
class Disk:
    path: Path
    note: str  # what it is, for whoever reads the figures


@contextmanager
def journaled(megabytes: int = 2048) -> Iterator[Disk]:
    """Mount a new journaled ext4 (as root); elsewhere give a temporary directory, and the note says so."""
    with ExitStack() as stack:
        name = tempfile.TemporaryDirectory(
            prefix="notqmail-bench-", dir=DIRECTORY, ignore_cleanup_errors=True
        )
        directory = Path(stack.enter_context(name))
        directory.chmod(0o755)
        mount = directory / "disk"
        mount.mkdir()
        for _ in range(2):  # once more for a signal that comes in the middle of it
            stack.callback(_unmount, mount)
        if os.geteuid() == 0 and _mounted(directory / "image", mount, megabytes):
            note = f"journaled ext4 (defaults, an inode for each {_OCTETS_PER_INODE} octets)"
            yield Disk(mount, f"{note} in a {megabytes:,} MB image, zero-filled")
        else:
            yield Disk(
                mount, f"{DIRECTORY}, file system not controlled: take care with the figures"
            )


def empty(directory: Path) -> None:
    """Remove all of it and wait until the file system has done that too, so that what follows does not pay for it."""
    shutil.rmtree(directory)
    subprocess.run(["sync", "--file-system", str(directory.parent)], check=False)


def _mounted(image: Path, mount: Path, megabytes: int) -> bool:
    with image.open("wb") as file:  # filled, not sparse: blocks are not allocated while we measure
        for _ in range(megabytes):
            file.write(bytes(_MB))
        os.fsync(file.fileno())
    options = ("-q", "-F", "-i", str(_OCTETS_PER_INODE))
    at_once = "lazy_itable_init=0,lazy_journal_init=0"
    make = ["/sbin/mkfs.ext4", *options, "-E", at_once, str(image)]
    return _done(make) and _done(["mount", "-o", "loop", str(image), str(mount)])


def _unmount(mount: Path) -> None:
    if mount.is_mount():
        _done(["umount", "--lazy", str(mount)])


def _done(command: Sequence[str]) -> bool:
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
