"""Who lives here: the directory of domains, mailboxes, aliases and senders, from the text files an admin edits.

The files are looked at again on a look-up, at most every LOOK seconds; what has changed is read, and becomes valid as
a whole or not at all: while a file is wrong the last good content stays, and one warning names file, line and
remedy. A large file is parsed in a thread, so that no look-up waits for it.
"""

import logging
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from notqmail import config
from notqmail.config import Config
from notqmail.mail.address import Address
from notqmail.mail.errors import ConfigError
from notqmail.ports import Clock
from notqmail.system.accounts_text import Account, Key, parse_aliases, parse_users
from notqmail.system.app_passwords_text import AppPassword, parse_app_passwords
from notqmail.system.senders_text import account_key, parse_senders

log = logging.getLogger(__name__)

LOOK = 0.2  # seconds between two looks at the files
AT_ONCE = 256 << 10  # octets up to which a changed file is parsed at once (about 5 ms)

T = TypeVar("T")
Stamp = tuple[int, int, int, int]
Start = Callable[[Callable[[], None]], object]


class Watched(Generic[T]):
    """One file and its last good content. `read` raises ConfigError; so does the constructor."""

    def __init__(self, path: Path, read: Callable[[Path], T], start: Start) -> None:
        self._path, self._read, self._start = path, read, start
        self._reading = False
        self._stamp: Stamp | None = stamp(path)
        self.content: T = read(path)

    def look(self) -> None:
        """Read the file again if it is not the one that was read last."""
        now = stamp(self._path)
        if self._reading or now == self._stamp:
            return
        self._stamp, self._reading = now, True
        if now is None or now[2] <= AT_ONCE:
            self._again()
        else:
            self._start(self._again)

    def _again(self) -> None:
        try:
            self.content = self._read(self._path)
            log.info("read again file=%s", self._path)
        except ConfigError as error:
            log.warning(
                "file not taken over, what was valid before stays: where=%r error=%r remedy=%r",
                error.where,
                error.problem,
                error.remedy,
            )
        finally:
            self._reading = False


def stamp(path: Path) -> Stamp | None:
    """Give what changes when a file does; None when it cannot be seen."""
    try:
        found = os.stat(path)  # noqa: PTH116 - on the hot path
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def read_text(path: Path) -> str:
    """Read a file of ours; raise ConfigError with a remedy."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(str(path), "no such file", "create it; it may be empty") from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), f"not UTF-8: {error}", "save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(
            str(path), error.strerror or "cannot be read", "let the server's user read it"
        ) from None


def read_users(path: Path) -> Mapping[Key, Account]:
    """Read a users file."""
    return parse_users(read_text(path), str(path))


def read_aliases(path: Path) -> Mapping[Key, tuple[Address, ...]]:
    """Read an aliases file."""
    return parse_aliases(read_text(path), str(path))


def read_senders(path: Path) -> Mapping[str, frozenset[Key]]:
    """Read a senders file. Most sites need none: without it nobody sends as anybody else."""
    return parse_senders(read_text(path), str(path)) if path.exists() else {}


def read_app_passwords(path: Path) -> Mapping[Key, tuple[AppPassword, ...]]:
    """Read an app passwords file; without one there are none."""
    return parse_app_passwords(read_text(path), str(path)) if path.exists() else {}


def in_thread(job: Callable[[], None]) -> threading.Thread:
    """Start a job in a thread of its own."""
    thread = threading.Thread(target=job, name="accounts", daemon=True)
    thread.start()
    return thread


class TextDirectory:
    """ports.Directory from the configuration's domains and its users, aliases and senders files; with the app
    passwords.

    `domain add` is live too: the configuration file is watched for its domains alone. Raises ConfigError when a file
    is missing or wrong at the start.
    """

    def __init__(self, settings: Config, clock: Clock, start: Start = in_thread) -> None:
        self._clock = clock
        self._domains = Watched(Path(settings.path), _reader_of_domains(settings), start)
        self._users = Watched(Path(settings.users), read_users, start)
        self._aliases = Watched(Path(settings.aliases), read_aliases, start)
        self._senders = Watched(Path(settings.submission.senders), read_senders, start)
        self._app = Watched(Path(settings.auth.app_passwords), read_app_passwords, start)
        self._next_look = clock.monotonic() + LOOK

    def is_local(self, domain: str) -> bool:
        self._look()
        return domain in self._domains.content

    def mailbox(self, local: str, domain: str) -> bool:
        self._look()
        return (local, domain) in self._users.content

    def alias(self, local: str, domain: str) -> Sequence[Address]:
        self._look()
        return self._aliases.content.get((local, domain), ())

    def senders(self, account: str) -> Collection[Key]:
        self._look()
        return self._senders.content.get(account_key(account), ())

    def account(self, local: str, domain: str) -> Account | None:
        """Give a mailbox with its secrets."""
        self._look()
        return self._users.content.get((local, domain))

    def app_passwords(self, local: str, domain: str) -> Sequence[AppPassword]:
        """Give the app passwords of a mailbox."""
        self._look()
        return self._app.content.get((local, domain), ())

    def refresh(self) -> None:
        """Look at the files now (a reload was asked for)."""
        self._next_look = self._clock.monotonic() + LOOK
        for watched in (self._domains, self._users, self._aliases, self._senders, self._app):
            watched.look()

    def _look(self) -> None:
        if self._clock.monotonic() >= self._next_look:
            self.refresh()


def _reader_of_domains(settings: Config) -> Callable[[Path], frozenset[str]]:
    """Domains come from the file while it is there; a configuration without one (in a test) has its own."""

    def read(path: Path) -> frozenset[str]:
        return frozenset((config.load(path) if path.exists() else settings).domains)

    return read
