"""Blob files and Maildir files on the simulated disk do what the real ones do, errors included."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from notqmail.delivery import files as delivery
from notqmail.store import files as store
from tests.simulation.disk import SimulatedDisk
from tests.simulation.files import BlobFiles, MailFiles

NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY
FOLDER = os.O_RDONLY | os.O_DIRECTORY


def outcome(call: Callable[[], Any]) -> Any:
    """What it gives, or how it fails; descriptors are all alike."""
    try:
        return call()
    except OSError as error:
        return type(error), error.errno


def blobs(files: store.Files, root: Path) -> list[Any]:
    seen: list[Any] = []

    def note(call: Callable[[], Any]) -> None:
        seen.append(outcome(call))

    a, b, d = root / "a", root / "b", root / "d"
    descriptor = files.create(a)
    files.write(descriptor, b"one")
    files.write(descriptor, b"two")
    files.sync(descriptor)
    files.close(descriptor)
    note(lambda: files.create(a))
    note(lambda: files.make_directory(d))
    note(lambda: files.make_directory(d))
    note(lambda: files.rename(a, d / "a"))
    note(lambda: files.rename(a, d / "a"))
    note(lambda: files.link(d / "a", b))
    note(lambda: files.link(d / "a", b))
    note(lambda: files.sync_directory(d))
    note(lambda: files.sync_directory(root / "none"))
    reading = files.open(b)
    note(lambda: files.read(reading, 4, 1))
    note(lambda: files.read(reading, 4, 6))
    files.close(reading)
    note(lambda: files.open(root / "none"))
    note(lambda: files.exists(b))
    note(lambda: files.exists(a))
    note(lambda: files.remove(b))
    note(lambda: files.remove(b))
    note(lambda: files.create(root / "none" / "x"))
    note(lambda: files.names(root))
    note(lambda: files.names(root / "none"))
    note(lambda: files.free(root) > 0)
    return seen


def mail(files: delivery.Files, root: Path) -> list[Any]:
    seen: list[Any] = []

    def note(call: Callable[[], Any]) -> None:
        seen.append(outcome(call))

    note(lambda: files.mkdir(f"{root}/m", 0o700))
    note(lambda: files.mkdir(f"{root}/m", 0o700))
    note(lambda: files.mkdir(f"{root}/m/tmp", 0o700))
    note(lambda: files.mkdir(f"{root}/m/new", 0o700))
    note(lambda: files.mkdir(f"{root}/m/cur", 0o700))
    note(lambda: files.mkdir(f"{root}/none/new", 0o700))
    note(lambda: files.chmod(f"{root}/m", 0o700))
    box = files.open(f"{root}/m", FOLDER)
    letter = files.open("tmp/1", NEW, 0o600, dir_fd=box)
    note(lambda: files.open("tmp/1", NEW, 0o600, dir_fd=box))
    note(lambda: files.open("none/1", NEW, 0o600, dir_fd=box))
    note(lambda: files.write(letter, memoryview(b"hello")))
    files.fchmod(letter, 0o600)
    files.start_writeback(letter)
    files.fsync(letter)
    files.close(letter)
    note(lambda: files.rename("tmp/1", "new/1", src_dir_fd=box, dst_dir_fd=box))
    note(lambda: files.rename("tmp/1", "new/1", src_dir_fd=box, dst_dir_fd=box))
    new = files.open("new", FOLDER, dir_fd=box)
    files.fsync(new)
    note(lambda: files.listdir(new))
    note(lambda: files.unlink("new/1", dir_fd=box))
    note(lambda: files.unlink("new/1", dir_fd=box))
    note(lambda: files.listdir(new))
    note(lambda: files.rmdir(f"{root}/m/cur"))
    note(lambda: files.open("cur", FOLDER, dir_fd=box))
    files.close(new)
    files.close(box)
    return seen


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(random.Random(0), Path("/data"))


def test_blob_files_do_what_real_ones_do(disk: SimulatedDisk, tmp_path: Path) -> None:
    simulated = BlobFiles(disk.mount(lambda: None))

    assert blobs(simulated, disk.root) == blobs(store.Files(), tmp_path)


def test_mail_files_do_what_real_ones_do(disk: SimulatedDisk, tmp_path: Path) -> None:
    simulated = MailFiles(disk.mount(lambda: None))

    assert mail(simulated, disk.root) == mail(delivery.Files(), tmp_path)
