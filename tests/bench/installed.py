"""A package of .peers as if it were installed: for the processes that are started here, and for no other.

Exim and OpenSMTPD have paths and accounts compiled in. They are run in a mount namespace of their own, where the
unpacked package lies over /usr and /var/lib and a few files of ours over /etc (overlays that nobody can write to), and where
/var/spool and /run are directories of the measured disk. The system keeps its files and accounts, and the mounts
end with the last process in there.
"""

import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.peer import Unavailable
from tests.support.programs import ROOT

PEERS = ROOT / ".peers"  # scripts/peers unpacks them there

# in the package's directory, so that its path has no part in the mount options
_ENTER = """\
for place in usr var/lib; do
    [ ! -d $place ] || mount -t overlay overlay -o lowerdir=$place:/$place /$place
done
cd "$1" && mount -t overlay overlay -o lowerdir=etc:/etc /etc &&
mount --bind spool /var/spool && mount --bind run /run && cd / && shift && exec "$@"
"""


def unpacked(name: str, file: str) -> Path:
    """Give a file of an unpacked server. Raises Unavailable."""
    path = PEERS / name / file
    if not path.exists():
        raise Unavailable(f"{name} is not unpacked: scripts/peers {name}")
    return path


def version(name: str) -> str:
    """Give the upstream version of an unpacked package. Raises Unavailable."""
    return unpacked(name, "version").read_text().strip().partition("-")[0]


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    home: str = "/nonexistent"


@dataclass(frozen=True, slots=True)
class Installed:
    """The package `name` with `accounts`, each with a group of its name, on files below `directory`."""

    name: str
    directory: Path
    accounts: Sequence[Account]

    @property
    def spool(self) -> Path:
        """What the server sees as /var/spool."""
        return self.directory / "spool"

    def write(self, files: Mapping[str, str]) -> None:
        """Make the directories, and files in /etc (name -> text). Raises Unavailable."""
        if os.geteuid() != 0:
            raise Unavailable(f"{self.name} can only be started by root")
        etc = self.directory / "etc"
        for directory in (etc, self.spool, self.directory / "run"):
            directory.mkdir()
        numbered = list(zip(self.accounts, _free_ids(len(self.accounts)), strict=True))
        users = "".join(f"{a.name}:x:{n}:{n}::{a.home}:/usr/sbin/nologin\n" for a, n in numbered)
        groups = "".join(f"{a.name}:x:{n}:\n" for a, n in numbered)
        own = {
            "passwd": Path("/etc/passwd").read_text() + users,
            "group": Path("/etc/group").read_text() + groups,
            # an overlay shows what lies below, not what was mounted on it
            "resolv.conf": Path("/etc/resolv.conf").read_text(),
        }
        for name, text in (own | dict(files)).items():
            path = etc / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")

    def number(self, account: str) -> int:
        """The uid and gid of one of its accounts."""
        lines = (self.directory / "etc/passwd").read_text().splitlines()
        return next(int(line.split(":")[2]) for line in lines if line.startswith(f"{account}:"))

    def command(self, *arguments: str) -> list[str]:
        """What runs a program where the package is installed; its process is that of the command."""
        package = unpacked(self.name, "usr").parent
        enter = f"cd '{package}' && {_ENTER}"
        own = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", enter, self.name]
        return [*own, str(self.directory), *arguments]


def _free_ids(count: int) -> list[int]:
    """Numbers no account has, below the range that adduser gives to people."""
    taken = {user.pw_uid for user in pwd.getpwall()} | {user.pw_gid for user in pwd.getpwall()}
    return [number for number in range(999, 99, -1) if number not in taken][:count]
