"""Replacing a text file: at once, durably, owner and mode kept, one editor at a time."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from notqmail.mail.errors import ConfigError


@contextmanager
def editing(path: Path) -> Iterator[None]:
    """Keep other editors of files in this directory waiting (flock on the directory)."""
    try:
        fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _cannot(path, error) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def replace_text(path: Path, text: str, like: Path | None = None) -> None:
    """Put a new text in place of a file, or make the file; after a crash either the old or the new is there.

    A symbolic link keeps being one: what it points to is replaced. A file that is made has owner and mode of `like`,
    else those of who makes it and 0600. Raises ConfigError.
    """
    real = path.resolve()
    temporary = real.with_name(f".{real.name}.{secrets.token_hex(6)}")
    try:
        try:
            before: os.stat_result | None = real.stat()
        except FileNotFoundError:
            before = like.stat() if like is not None else None
        _write(temporary, text, before)
        temporary.replace(real)
        _sync_directory(real.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise _cannot(path, error) from None


def _write(path: Path, text: str, like: os.stat_result | None) -> None:
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8", newline="") as file:
        if like is not None:
            if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(fd, like.st_uid, like.st_gid)
            os.fchmod(fd, like.st_mode & 0o7777)
        file.write(text)
        file.flush()
        os.fsync(fd)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _cannot(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        str(path),
        f"cannot be changed: {error.strerror}",
        "run the command as the owner of the file",
    )
