"""From root to an ordinary user, with no way back.

Root is needed to bind low ports and for nothing else. The order is: `identity` (names looked up), `raise_open_files`,
bind the ports, `hand_over` the data directory and `let_read` the accounts, `become`. All of it before the first thread is started: what
`become` sets with prctl(2) holds for the calling thread and those it starts.
"""

import ctypes
import grp
import logging
import os
import pwd
import resource
import stat
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from notqmail.config import Config, endpoint
from notqmail.mail.errors import ConfigError

log = logging.getLogger(__name__)

UMASK = 0o077
_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom to become. `groups` are the supplementary groups, `gid` among them."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]


def identity(settings: Config) -> Identity | None:
    """Say whom this process must become: None to stay who it is.

    Root must have a `user`, or ConfigError is raised; but a server that nobody can reach from outside, all its
    listeners on loopback, may be tried out as root.
    """
    if os.geteuid() != 0:
        return None
    if settings.user:
        return look_up(settings.user, settings.group)
    if only_loopback(settings):
        return None
    raise ConfigError(
        f"{settings.path}: user",
        "started as root, and no user to become",
        'set user = "notqmail" (useradd --system notqmail), or start as an ordinary user',
    )


def only_loopback(settings: Config) -> bool:
    """True when every listener is bound to a loopback address."""
    binds = [where for listen in settings.listen for where in listen.bind]
    hosts = [endpoint(where).host for where in (*binds, *settings.web.bind)]
    return all(is_loopback(host) for host in hosts)


def is_loopback(host: str) -> bool:
    """True for what only this machine can reach."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def look_up(user: str, group: str = "") -> Identity:
    """Find a user, and a group other than the user's own; raise ConfigError."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise ConfigError(
            "user", f"there is no user {user!r}", f"create it: useradd --system {user}"
        ) from None
    try:
        gid = grp.getgrnam(group).gr_gid if group else entry.pw_gid
    except KeyError:
        raise ConfigError(
            "group", f"there is no group {group!r}", "create it, or leave it empty"
        ) from None
    if entry.pw_uid == 0 or gid == 0:
        raise ConfigError("user", f"{user!r} is root or of its group", "name an ordinary user")
    groups = {gid, *os.getgrouplist(user, gid)} - {0}
    return Identity(user, entry.pw_uid, gid, tuple(sorted(groups)))


def raise_open_files() -> int:
    """Raise the limit of open files to what is allowed; give it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # a kernel may allow less than it says; then it stays
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def hand_over(data: Path, to: Identity) -> None:
    """Give the data directory, and what root made directly in it, to the user. Raises ConfigError.

    Only what is root's is given, nothing through a symbolic link, and no file that has a second name: who may write
    here already could have linked one of root's files to here.
    """
    try:
        _give(data, to)
        for entry in sorted(data.iterdir()):
            _give(entry, to)
    except OSError as error:
        raise ConfigError(
            str(error.filename or data),
            f"cannot be given to {to.name}: {error.strerror}",
            f"chown -R {to.name} {data}",
        ) from None


def let_read(path: Path, to: Identity) -> None:
    """Let the user's group read a file of root's that only root could read (the accounts). Raises ConfigError.

    A file that others own, or that is open to the group already, stays as it is; so does what is no plain file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # who reads it says so better
    except OSError as error:
        raise ConfigError(
            str(path), f"cannot be opened: {error.strerror}", f"let {to.name} read it"
        ) from None
    try:
        found = os.fstat(fd)
        ours = stat.S_ISREG(found.st_mode) and found.st_uid == 0 and found.st_nlink == 1
        if ours and not found.st_mode & (stat.S_IRGRP | stat.S_IROTH):
            os.fchown(fd, 0, to.gid)
            os.fchmod(fd, stat.S_IMODE(found.st_mode) | stat.S_IRGRP)
    finally:
        os.close(fd)


def _give(path: Path, to: Identity) -> None:
    if not stat.S_ISDIR(mode := path.lstat().st_mode) and not stat.S_ISREG(mode):
        return  # a socket or a link: sockets are made anew at each start
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if found.st_uid != 0:
            return
        if not stat.S_ISDIR(found.st_mode) and found.st_nlink != 1:
            log.warning(
                "not given away, it has a second name: path=%r links=%d", str(path), found.st_nlink
            )
            return
        os.fchown(fd, to.uid, to.gid)
    finally:
        os.close(fd)


def become(who: Identity) -> None:
    """Be this user from now on; raise ConfigError when that is not possible, or not for good."""
    try:
        os.setgroups(who.groups)
        os.setresgid(who.gid, who.gid, who.gid)
        os.setresuid(who.uid, who.uid, who.uid)
    except OSError as error:
        raise ConfigError(
            "user", f"cannot become {who.name}: {error.strerror}", "start as root (CAP_SETUID)"
        ) from None
    harden()
    os.environ.update(HOME=pwd.getpwuid(who.uid).pw_dir, USER=who.name, LOGNAME=who.name)
    for back in (os.setuid, os.setgid, os.seteuid, os.setegid):
        with suppress(PermissionError):
            back(0)
            raise ConfigError(
                "user", f"{who.name} could become root again", "take its capabilities away"
            )


def check_python(who: Identity) -> None:
    """Raise ConfigError when the user we have become cannot read the Python that runs us: modules that are imported
    later would be missing."""
    for name in {str(Path(os.__file__).parent), str(Path(__file__).parent)}:
        if not os.access(name, os.R_OK | os.X_OK):
            raise ConfigError(
                "user",
                f"{who.name} cannot read {name}, where this program is installed",
                "install notqmail where every user can read it, such as /opt/notqmail",
            )


def harden() -> None:
    """What holds for every user: files are ours alone, no program we start gains rights, no core with mail in it."""
    os.umask(UMASK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        log.warning("no_new_privs is not available: %s", os.strerror(ctypes.get_errno()))
