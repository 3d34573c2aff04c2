"""A private Postfix: unpacked, not installed, with a configuration, queue and ports of its own.

`master` is run in the foreground on a directory made for it; nothing of the system's mail set-up is read or
written. It must be started as root, because Postfix must: its daemons then become an account without a use of
its own here (`mail_owner`), which is looked for, not made.
"""

import grp
import os
import pwd
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.places import open_directory
from tests.support.programs import POSTFIX, POSTFIX_LIBRARIES, environment, postfix_program
from tests.support.waiting import free_port, wait_until

DOMAIN = "postfix.test"
HOST = "127.0.0.2"  # not 127.0.0.1: a server that is asked to relay to itself may call that a loop
_QUEUE = (
    "active bounce corrupt defer deferred flush hold incoming maildrop private public saved trace"
)
_MASTER = """\
{listen} inet n - n - - smtpd
pickup   unix n - n 60 1 pickup
cleanup  unix n - n - 0 cleanup
qmgr     unix n - n 300 1 qmgr
rewrite  unix - - n - - trivial-rewrite
bounce   unix - - n - 0 bounce
defer    unix - - n - 0 bounce
trace    unix - - n - 0 bounce
verify   unix - - n - 1 verify
flush    unix n - n 1000? 0 flush
tlsmgr   unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
smtp     unix - - n - - smtp
relay    unix - - n - - smtp
showq    unix n - n - - showq
error    unix - - n - - error
retry    unix - - n - - error
discard  unix - - n - - discard
virtual  unix - n n - - virtual
anvil    unix - - n - 1 anvil
scache   unix - - n - 1 scache
postlog  unix-dgram n - n - 1 postlogd
"""


@dataclass(slots=True)
class Postfix:
    """A Postfix at `HOST:port` that is the mail server of `DOMAIN` and relays for loopback."""

    root: Path
    port: int
    users: Sequence[str]
    relays: Mapping[str, int]  # domain -> port on 127.0.0.1 that it is sent to
    settings: Mapping[str, str]
    prefix: Sequence[str] = ()  # a command that becomes the one that follows it
    services: str = ""  # more lines for master.cf
    _master: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def host(self) -> str:
        return HOST

    @property
    def log(self) -> str:
        """What its daemons have logged so far."""
        path = self.root / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def maildir(self, user: str) -> Path:
        return self.root / "mail" / user / "Maildir"

    def messages(self, user: str) -> list[bytes]:
        """The messages delivered to one of its users, oldest first."""
        paths = (self.maildir(user) / "new").glob("*")
        return [path.read_bytes() for path in sorted(paths, key=lambda p: p.stat().st_mtime_ns)]

    def wait_message(self, mark: str, user: str = "bob", timeout: float = 30) -> bytes:
        """Wait until a user has a message with `mark` in it and give it; its log tells when none comes."""

        def found() -> list[bytes]:
            return [message for message in self.messages(user) if mark.encode() in message]

        wait_until(
            lambda: bool(found()), timeout, lambda: f"no {mark} for {user}\n{self.log[-4000:]}"
        )
        return found()[0]

    def start(self) -> None:
        self._write()
        environ = environment() | {"MAIL_CONFIG": str(self.root / "etc")}
        self._master = subprocess.Popen(
            [*self.prefix, postfix_program("master"), "-d", "-c", str(self.root / "etc")],
            env=environ,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # its signals go to its process group
        )
        wait_until(self._greets, 20, lambda: f"Postfix does not answer\n{self.log}")

    def stop(self) -> None:
        """End it and its daemons; its mail stays."""
        if self._master is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._master.pid, signal.SIGTERM)
        try:
            self._master.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._master.pid, signal.SIGKILL)
            self._master.wait()
        self._master = None

    @property
    def pid(self) -> int:
        assert self._master is not None, "not running"
        return self._master.pid

    def _greets(self) -> bool:
        assert self._master is not None
        if (status := self._master.poll()) is not None:
            raise AssertionError(f"Postfix ended with status {status}\n{self.log}")
        try:
            with socket.create_connection((HOST, self.port), 5) as connection:
                connection.settimeout(5)
                return connection.recv(4) == b"220 "
        except OSError:
            return False

    def _write(self) -> None:
        owner, group = _accounts()
        etc, mail = self.root / "etc", self.root / "mail"
        for directory in (etc, mail, self.root / "lib", self.root / "spool"):
            directory.mkdir(exist_ok=True)
        nobody = pwd.getpwnam("nobody")
        os.chown(mail, nobody.pw_uid, nobody.pw_gid)
        os.chown(self.root / "lib", owner.pw_uid, owner.pw_gid)
        self._make_queue(owner.pw_uid, group.gr_gid)
        boxes = "".join(f"{user}@{DOMAIN} {user}/Maildir/\n" for user in self.users)
        (etc / "mailboxes").write_text(boxes, "utf-8")
        relays = "".join(f"{to} smtp:[127.0.0.1]:{port}\n" for to, port in self.relays.items())
        (etc / "transport").write_text(relays, "utf-8")
        values = self._settings(owner.pw_name, group.gr_name, nobody) | dict(self.settings)
        (etc / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in values.items()), "utf-8")
        master = _MASTER.format(listen=f"{HOST}:{self.port}") + self.services
        (etc / "master.cf").write_text(master, "utf-8")

    def _make_queue(self, owner: int, group: int) -> None:
        """The queue directory as post-install would make it."""
        queue = self.root / "spool"
        for name in _QUEUE.split():
            path = queue / name
            path.mkdir(exist_ok=True)
            public = name in ("public", "maildrop")
            os.chown(path, owner, group if public else -1)
            path.chmod({"public": 0o710, "maildrop": 0o1730}.get(name, 0o700))
        (queue / "pid").mkdir(exist_ok=True)

    def _settings(self, owner: str, group: str, nobody: pwd.struct_passwd) -> dict[str, str]:
        root = self.root
        return {
            "compatibility_level": "3.6",
            "queue_directory": f"{root}/spool",
            "data_directory": f"{root}/lib",
            "daemon_directory": f"{POSTFIX}/usr/lib/postfix/sbin",
            "command_directory": f"{POSTFIX}/usr/sbin",
            "shlib_directory": f"{POSTFIX}/usr/lib/postfix",
            "meta_directory": f"{POSTFIX}/etc/postfix",
            "mail_owner": owner,
            "setgid_group": group,
            "import_environment": f"MAIL_CONFIG LANG=C LD_LIBRARY_PATH={POSTFIX_LIBRARIES}",
            "maillog_file": f"{root}/log",
            "maillog_file_prefixes": str(root),
            "myhostname": f"mx.{DOMAIN}",
            "mydomain": DOMAIN,
            "myorigin": DOMAIN,
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "inet_interfaces": "loopback-only",
            "inet_protocols": "ipv4",
            "alias_maps": "",
            "alias_database": "",
            "local_transport": "error:no local mail here",
            "virtual_mailbox_domains": DOMAIN,
            "virtual_mailbox_base": f"{root}/mail",
            "virtual_mailbox_maps": f"texthash:{root}/etc/mailboxes",
            "virtual_mailbox_limit": "0",
            "virtual_uid_maps": f"static:{nobody.pw_uid}",
            "virtual_gid_maps": f"static:{nobody.pw_gid}",
            "transport_maps": f"texthash:{root}/etc/transport",
            # no look-ups: the next hop is always an address
            "smtp_dns_support_level": "disabled",
            "smtpd_peername_lookup": "no",
            "smtputf8_enable": "yes",
            "smtp_tls_security_level": "none",
            "message_size_limit": str(60 << 20),
            "minimal_backoff_time": "1s",
            "queue_run_delay": "1s",
        }


def _accounts() -> tuple[pwd.struct_passwd, grp.struct_group]:
    """An account and a group for Postfix's own use: its uid must be nobody else's (postfix-script checks)."""
    everyone = pwd.getpwall()
    for name in ("postfix", "news", "uucp", "games", "irc"):
        with suppress(KeyError):
            owner = pwd.getpwnam(name)
            if sum(user.pw_uid == owner.pw_uid for user in everyone) == 1:
                break
    else:
        pytest.skip("no account that Postfix could run as (postfix, news, uucp, games, irc)")
    for name in ("postdrop", "uucp", "news", "games", "irc"):
        with suppress(KeyError):
            group = grp.getgrnam(name)
            if group.gr_gid != owner.pw_gid:
                return owner, group
    pytest.skip("no group that Postfix could use (postdrop, uucp, news, games, irc)")


@contextmanager
def running(
    *,
    users: Sequence[str] = ("bob",),
    relays: Mapping[str, int] | None = None,
    below: Path | None = None,
    services: str = "",
    **settings: str,
) -> Iterator[Postfix]:
    """Run a Postfix for `users` at DOMAIN, in a new directory `below` one that everybody may enter; `settings`
    are main.cf's, `services` more lines for master.cf. Skips where it cannot be run."""
    postfix_program("master")
    if os.geteuid() != 0:
        pytest.skip("Postfix can only be started by root")
    with open_directory(below) as root:
        postfix = Postfix(root, free_port(), users, relays or {}, settings, services=services)
        try:
            postfix.start()
            yield postfix
        finally:
            postfix.stop()
