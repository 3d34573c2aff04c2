"""Passwords for other servers: read from files of their own, and shown by nothing."""

import logging
import os
import stat
from pathlib import Path

from notqmail.mail.errors import ConfigError

MAX_FILE = 4096  # octets
_OTHERS = 0o007

_log = logging.getLogger(__name__)


class Secret:
    """A text that no repr, log line or traceback shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"


def read_password(path: Path) -> Secret:
    """Read the first line of a file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE + 1)
            exposed = is_exposed(os.fstat(file.fileno()).st_mode)
    except OSError as error:
        remedy = "write the password into it, mode 0600, owned by the user the server runs as"
        raise ConfigError(str(path), error.strerror or "cannot be read", remedy) from None
    try:
        password = octets.split(b"\n")[0].removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise ConfigError(str(path), "the password is not UTF-8", "write it anew") from None
    if not password or "\0" in password or len(octets) > MAX_FILE:
        raise ConfigError(str(path), "its first line is no password", "write it anew")
    if exposed:
        _log.warning("a password file can be read by everybody file=%s remedy='chmod 600'", path)
    return Secret(password)


def is_exposed(mode: int) -> bool:
    """Say whether a file of this mode is open to everybody."""
    return bool(stat.S_IMODE(mode) & _OTHERS)
