"""A file system to measure on: ext4 with a journal, in an image file of its own.

On an ext4 without a journal, creating files soon after deleting others is two to five times slower at random, so
figures from there mean little.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_MB = 1 << 20


@dataclass(frozen=True, slots=True)
class Disk:
    path: Path
    note: str  # what it is, for whoever reads the figures


@contextmanager
def journaled(megabytes: int = 2048) -> Iterator[Disk]:
    """Mount a new journaled ext4 (as root); elsewhere give a temporary directory, and the note says so."""
    with tempfile.TemporaryDirectory(prefix="notqmail-bench-", dir="/var/tmp") as name:
        directory = Path(name)
        directory.chmod(0o755)
        mount = directory / "disk"
        mount.mkdir()
        if os.geteuid() != 0 or not _mounted(directory / "image", mount, megabytes):
            yield Disk(
                directory, f"{directory}, file system not controlled: take care with the figures"
            )
            return
        try:
            yield Disk(mount, f"journaled ext4 (defaults) in a {megabytes} MB image, zero-filled")
        finally:
            subprocess.run(["umount", "--lazy", str(mount)], check=True)


def _mounted(image: Path, mount: Path, megabytes: int) -> bool:
    with image.open("wb") as file:  # filled, not sparse: blocks are not allocated while we measure
        for _ in range(megabytes):
            file.write(bytes(_MB))
        os.fsync(file.fileno())
    make = [
        "/sbin/mkfs.ext4",
        "-q",
        "-F",
        "-E",
        "lazy_itable_init=0,lazy_journal_init=0",
        str(image),
    ]
    return all(
        subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
        for command in (make, ["mount", "-o", "loop", str(image), str(mount)])
    )
