"""A full disk: the client keeps its message, the server stays, and goes on when there is room again."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.places import open_directory
from tests.support.server import Server, prepared
from tests.support.smtp_client import SmtpClient

pytestmark = pytest.mark.root
SIZE = 24 << 20  # octets of the disk


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own that is soon full."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    with open_directory() as disk:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", str(disk)], check=False
        )
        if mounted.returncode:
            pytest.skip("a tmpfs cannot be mounted here")
        try:
            yield disk
        finally:
            subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def on_small_disk(small_disk: Path) -> Iterator[Server]:
    server = prepared(small_disk / "server", settings={"queue.free_space": 0})
    try:
        server.start()
        yield server
    finally:
        server.close()


def _send(server: Server, size: int) -> str:
    line = b"x" * 76 + b"\r\n"
    with SmtpClient.greeted(server.port) as client:
        client.envelope("bob@sender.example", "alice@example.org")
        return client.data(b"Subject: disk\r\n\r\n" + line * (size // len(line)))


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(65536)):
            pass


@pytest.mark.parametrize("size", [10_000, 4_000_000], ids=["in the database", "in a file"])
def test_full_disk_is_452_and_the_server_goes_on_when_there_is_room(
    on_small_disk: Server, small_disk: Path, size: int
) -> None:
    filler = small_disk / "filler"
    assert _send(on_small_disk, 1000).startswith("250 ")
    on_small_disk.wait_idle()
    _fill(filler)

    assert _send(on_small_disk, size).startswith("452 4.3.1 ")
    assert _send(on_small_disk, size).startswith("452 4.3.1 ")

    filler.unlink()
    assert _send(on_small_disk, size).startswith("250 ")
    assert len(on_small_disk.wait_mail(count=2)) == 2
    assert "Traceback" not in on_small_disk.log


def test_mail_is_refused_before_the_last_room_is_used(small_disk: Path) -> None:
    server = prepared(small_disk / "server", settings={"queue.free_space": f"{SIZE >> 20}MB"})
    try:
        server.start()
        with SmtpClient.greeted(server.port) as client:
            client.ask("MAIL FROM:<bob@sender.example>")
            client.ask("RCPT TO:<alice@example.org>")
            answers = client.ask("DATA")
            if answers.startswith("354"):
                client.send(b"Subject: no room\r\n\r\n.\r\n")
                answers = client.reply()
        assert answers.startswith("452 4.3.1 ")
    finally:
        server.close()
