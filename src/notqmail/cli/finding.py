"""One thing that is wrong with an installation."""

from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from notqmail.mail.errors import ConfigError


class Level(StrEnum):
    """ERROR: it would not start. WARNING: some mail would not arrive."""

    ERROR = "error"
    WARNING = "warning"


class Finding(NamedTuple):
    """What is wrong, where, and what to do about it."""

    level: Level
    file: str
    key: str
    problem: str
    remedy: str

    @classmethod
    def of(cls, error: ConfigError, path: Path, level: Level = Level.ERROR) -> "Finding":
        """Make one of an error, whose "FILE: KEY" and "FILE:LINE" it splits; a key without its file is of `path`."""
        file, colon, key = error.where.partition(": ")
        if not colon:
            head, _, line = error.where.rpartition(":")
            file, key = (head, f"line {line}") if line.isdigit() else (error.where, "")
        if not file.startswith("/") and file != str(path):
            file, key = str(path), error.where
        return cls(level, file, key, error.problem, error.remedy)
