"""Postfix's usual companions: OpenDKIM (verifies and signs), OpenDMARC and policyd-spf, each with files of its own.

They stand as their own documentation has it: policyd-spf as a policy service that spawn runs, the other two as milters
on Unix sockets, and mail that users submit goes to OpenDKIM alone, which knows it by its daemon name and signs it.
Only two things differ from a server on the Internet: loopback is a client like any other, because the load comes from
there, and a check that cannot be made is a temporary failure, so that none is left out unnoticed.
"""

import os
import pwd
import shutil
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.peer import Checks, Endpoint, Failed, Unavailable
from tests.bench.processes import Processes
from tests.support.programs import ROOT

_UNPACKED = ROOT / ".peers" / "companions"  # scripts/peers unpacks them there
_USER = "nobody"
_NOBODY_HERE = "192.0.2.1"  # in place of loopback, where mail is not judged by default
_ORIGINATING = "ORIGINATING"
_MILTERS = {"opendkim": "-x", "opendmarc": "-c"}  # with the option that names their configuration

_OPENDKIM = """\
Mode sv
Syslog no
Background no
UserID {user}
UMask 000
Socket local:{run}/opendkim
Canonicalization relaxed/simple
OversignHeaders From
Domain {domain}
Selector {selector}
KeyFile {key}
AuthservID {hostname}
InternalHosts {nobody_here}
ExternalIgnoreList {nobody_here}
MTA {originating}
Nameservers {resolver}
RequireSafeKeys no
"""
_OPENDMARC = """\
Syslog no
Background no
UserID {user}
UMask 000
Socket local:{run}/opendmarc
AuthservID {hostname}
TrustedAuthservIDs {hostname}
IgnoreHosts {etc}/ignored
RejectFailures yes
"""
_SPF = """\
debugLevel = 0
TestOnly = 1
HELO_reject = Fail
Mail_From_reject = Fail
skip_addresses = {nobody_here}/32
Header_Type = SPF
"""
_SERVICES = """\
policyd-spf unix - n n - 0 spawn user={user} argv=/usr/bin/env PYTHONPATH={root}/python {python} {root}/policyd-spf {etc}/spf
{submission} inet n - n - - smtpd
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
  -o smtpd_milters=unix:{run}/opendkim
  -o milter_macro_daemon_name={originating}
"""


def companion(file: str) -> Path:
    """Give a file of the unpacked packages. Raises Unavailable."""
    path = _UNPACKED / file
    if not path.exists():
        raise Unavailable("Postfix's companions are not unpacked: run scripts/peers companions")
    return path


def environment() -> dict[str, str]:
    """What the programs are run with: the libraries that were unpacked with them."""
    libraries = [_UNPACKED / "usr/lib", *sorted(_UNPACKED.glob("usr/lib/*-linux-gnu"))]
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C",
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
    }


def resolver(file: Path = Path("/etc/resolv.conf")) -> str:
    """The first name server the machine asks. Raises Unavailable."""
    for line in file.read_text("utf-8").splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            return words[1]
    raise Unavailable(f"{file} names no server")


@dataclass(frozen=True, slots=True)
class Companions:
    """Those of one Postfix."""

    root: Path  # a new directory that everybody may enter
    hostname: str
    domain: str
    checks: Checks
    submission: Endpoint

    @property
    def settings(self) -> Mapping[str, str]:
        """What main.cf has for them."""
        milters = f"unix:{self.root}/run/opendkim, unix:{self.root}/run/opendmarc"
        return {
            "smtpd_milters": milters,
            "milter_default_action": "tempfail",
            "smtpd_recipient_restrictions": "reject_unauth_destination, check_policy_service unix:private/policyd-spf",
            "policyd-spf_time_limit": "3600",
        }

    @property
    def services(self) -> str:
        """What master.cf has for them."""
        return _SERVICES.format(**self._places())

    def start(self, group: Processes) -> None:
        """Start the milters, each with its files. Raises Failed or Unavailable."""
        self._write()
        for name, option in _MILTERS.items():
            command = [str(companion(f"usr/sbin/{name}")), option, str(self.root / "etc" / name)]
            group.start(command, environment=environment(), output=self.root / f"{name}.log")
        for name in _MILTERS:
            _wait_listening(self.root / "run" / name, self.root / f"{name}.log")

    def _places(self) -> dict[str, str]:
        return {
            "root": str(self.root),
            "etc": str(self.root / "etc"),
            "run": str(self.root / "run"),
            "key": str(self.root / "run" / "key"),
            "user": _USER,
            "hostname": self.hostname,
            "domain": self.domain,
            "selector": self.checks.selector,
            "submission": str(self.submission),
            "nobody_here": _NOBODY_HERE,
            "originating": _ORIGINATING,
            "resolver": resolver(),
            "python": _python(),
        }

    def _write(self) -> None:
        """The configurations, and copies of what somebody other than root must read."""
        etc, run = self.root / "etc", self.root / "run"
        for directory in (self.root, etc, run):
            directory.mkdir(exist_ok=True)
        user = pwd.getpwnam(_USER)
        os.chown(run, user.pw_uid, user.pw_gid)
        places = self._places()
        texts = {"opendkim": _OPENDKIM, "opendmarc": _OPENDMARC, "spf": _SPF}
        for name, text in texts.items():
            (etc / name).write_text(text.format(**places), "utf-8")
        (etc / "ignored").write_text(f"{_NOBODY_HERE}\n", "utf-8")
        shutil.copyfile(self.checks.key, run / "key")
        (run / "key").chmod(0o600)
        os.chown(run / "key", user.pw_uid, user.pw_gid)
        modules = companion("usr/lib/python3/dist-packages")
        shutil.copytree(modules, self.root / "python", symlinks=True, dirs_exist_ok=True)
        shutil.copy(companion("usr/bin/policyd-spf"), self.root)


def _python() -> str:
    """The distribution's interpreter, as the package has it; ours may be where nobody else can read."""
    found = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if found is None:
        raise Unavailable("policyd-spf needs the system's python3: apt-get install python3")
    return found


def _wait_listening(at: Path, log: Path, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(at))
            return
        time.sleep(0.02)
    said = log.read_text("utf-8", "replace").strip() if log.exists() else ""
    raise Failed(f"{at.name} does not start: {said or 'no word from it'}")
