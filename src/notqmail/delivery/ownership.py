"""Whose the Maildirs are: the names and modes of `[mailbox]`, resolved once."""

import grp
import os
import pwd
from collections.abc import Collection
from dataclasses import dataclass

from notqmail.config import Mailbox
from notqmail.mail.errors import ConfigError

KEEP = -1  # chown(2): leave this id as it is


@dataclass(frozen=True, slots=True)
class Ownership:
    """Numeric owner and group (KEEP: as created) and the modes, applied whatever the umask is."""

    uid: int = KEEP
    gid: int = KEEP
    directory_mode: int = 0o700
    file_mode: int = 0o600

    @classmethod
    def of(cls, mailbox: Mailbox) -> "Ownership":
        """Look the names up; raise ConfigError for one that does not exist here."""
        uid, gid = KEEP, KEEP
        if mailbox.owner:
            uid, gid = _user(mailbox.owner)
        if mailbox.group:
            gid = _group(mailbox.group)
        return cls(uid, gid, int(mailbox.directory_mode, 8), int(mailbox.file_mode, 8))

    @property
    def given(self) -> bool:
        """True when files must be given to somebody after they are made."""
        return self.uid != KEEP or self.gid != KEEP


def _user(name: str) -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise ConfigError(
            "mailbox.owner", f"there is no user {name!r}", "create it, or leave the key empty"
        ) from None
    return entry.pw_uid, entry.pw_gid


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(
            "mailbox.group", f"there is no group {name!r}", "create it, or leave the key empty"
        ) from None


def check_ownership(mailbox: Mailbox, uid: int, groups: Collection[int]) -> None:
    """Raise ConfigError when a server running as `uid` in `groups` could not give Maildirs to their owner.

    Only root gives files away (chown(2)); everybody may choose among their own groups.
    """
    wanted = Ownership.of(mailbox)
    if uid == 0:
        return
    if wanted.uid not in (KEEP, uid):
        raise ConfigError(
            "mailbox.owner",
            f"the server runs as {_name(uid)} and cannot give files to {mailbox.owner}",
            f'set user = "{mailbox.owner}", or share by mailbox.group and the modes',
        )
    if wanted.gid != KEEP and wanted.gid not in groups:
        raise ConfigError(
            "mailbox.group" if mailbox.group else "mailbox.owner",
            f"the server's user {_name(uid)} is not in group {wanted.gid}",
            f"add it: usermod -aG {mailbox.group or wanted.gid} {_name(uid)}",
        )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def current_ids() -> tuple[int, frozenset[int]]:
    """Who this process is, for `check_ownership`."""
    return os.geteuid(), frozenset((os.getegid(), *os.getgroups()))
