"""Our server as a user runs it: `notqmail init`, `notqmail serve` as a process of its own, on free ports.

    with serving(settings={"outbound.port": 2526}) as server:
        server.port, server.wait_mail("alice", 1), server.kill(), server.restart(), server.reload(…)

`settings` are configuration keys with dots; a number indexes a list: "listen.0.limits.recipients".
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support.places import open_directory
from tests.support.programs import ROOT, Ran
from tests.support.waiting import free_port_base, wait_until

Settings = Mapping[str, Any]

HOSTNAME = "mx.example.org"
DOMAIN = "example.org"
PASSWORD = "correct horse battery staple"  # of every user
_NOTQMAIL = (str(Path(sys.executable).with_name("notqmail")),)  # what pip installed


def notqmail(*arguments: str, given: bytes = b"", cwd: Path = ROOT, timeout: float = 60) -> Ran:
    """Run the notqmail command to its end."""
    ended = subprocess.run(
        [*_NOTQMAIL, *arguments],
        input=given,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout.decode("utf-8", "replace"))


@dataclass(slots=True)
class Server:
    """A notqmail in `directory`; port N+25 of its port base takes mail."""

    directory: Path
    base: int
    environ: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str] = (
        _NOTQMAIL  # what serves; the other commands are always those of this environment
    )
    _process: "subprocess.Popen[bytes] | None" = None
    _ready: threading.Event = field(default_factory=threading.Event)
    _lines: list[str] = field(default_factory=list)
    _reader: threading.Thread | None = None

    @property
    def port(self) -> int:
        return self.base + 25

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def submission_port(self) -> int:
        """Where our own people say STARTTLS and log in."""
        return self.base + 587

    @property
    def submissions_port(self) -> int:
        """Where they log in over TLS from the first octet."""
        return self.base + 465

    @property
    def certificate(self) -> Path:
        """What a client trusts to trust us: the self-signed certificate of the development profile."""
        return self.directory / "tls" / "cert.pem"

    @property
    def config(self) -> Path:
        return self.directory / "notqmail.toml"

    @property
    def log(self) -> str:
        """What it has said on stderr since it was first started."""
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        assert self._process is not None, "not running"
        return self._process.pid

    @property
    def ready(self) -> bool:
        """Whether it has said READY since it was last started (or has ended)."""
        return self._ready.is_set()

    def init(self, users: Sequence[str]) -> None:
        named = [word for user in users for word in ("--user", f"{user}@{DOMAIN}")]
        made = notqmail(
            *("init", str(self.directory), "--hostname", HOSTNAME, "--domain", DOMAIN),
            *(*named, "--dev", "--port-base", str(self.base), "--password-file", "-"),
            given=PASSWORD.encode() + b"\n",
        )
        assert made.status == 0, made.output

    def configure(self, settings: Settings, into: Path | None = None) -> None:
        """Write the configuration anew with other values, or a second one beside it."""
        document = tomllib.loads(self.config.read_text("utf-8"))
        apply(settings, document)
        (into or self.config).write_text(_toml(document), "utf-8")

    def command(self, *arguments: str, given: bytes = b"") -> Ran:
        """Run `notqmail ARGUMENTS -c its configuration`."""
        return notqmail(*arguments, "-c", str(self.config), given=given)

    def start(self) -> None:
        """Start it and return when it says READY."""
        self.launch()
        if not self._ready.wait(30):
            self.kill()
            raise AssertionError(f"no READY within 30 s\n{self.log[-4000:]}")
        if self._process is None or self._process.poll() is not None:
            raise AssertionError(f"it ended before READY\n{self.log[-4000:]}")

    def launch(self) -> None:
        """Start it without waiting."""
        assert self._process is None, "still running"
        self._ready.clear()
        self._process = subprocess.Popen(
            [*self.program, "serve", "-c", str(self.config)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | self.environ,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                self._lines.append(line.decode("utf-8", "replace"))
                if line.strip() == b"READY":
                    self._ready.set()
        self._ready.set()  # it has ended: nobody waits any longer

    def wait_ended(self, timeout: float = 20) -> int:
        """Wait until it has ended by itself and give its exit status."""
        assert self._process is not None
        assert self._reader is not None
        status = self._process.wait(timeout)
        self._reader.join(timeout)
        self._process = None
        return status

    def stop(self, timeout: float = 20) -> int:
        """Ask it to stop (SIGTERM) and give its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait_ended(timeout)

    def kill(self) -> None:
        """kill -9."""
        self.signal(signal.SIGKILL)
        self.wait_ended()

    def restart(self) -> None:
        """Start it again after `kill` or `stop`."""
        self.start()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def close(self) -> None:
        """End it in whatever state it is."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self.wait_ended()

    def wait_log(self, words: str, count: int = 1, timeout: float = 20) -> None:
        """Wait until it has logged `words` so many times."""
        wait_until(
            lambda: self.log.count(words) >= count,
            timeout,
            lambda: f"{words!r} was not logged {count} times\n{self.log}",
        )

    def maildir(self, user: str = "alice", domain: str = DOMAIN) -> Path:
        named = quote(user, safe="+")  # what is not ASCII is percent-encoded, octet by octet
        return self.directory / "data" / "mail" / domain / named / "Maildir"

    def mail(self, user: str = "alice") -> list[bytes]:
        """The messages in new/ of a user of DOMAIN, oldest first."""
        found = []
        for path in (self.maildir(user) / "new").glob("*"):
            found.append((path.stat().st_mtime_ns, path.name, path))
        return [path.read_bytes() for _, _, path in sorted(found)]

    def mail_count(self, user: str = "alice") -> int:
        try:
            return len(list((self.maildir(user) / "new").iterdir()))
        except FileNotFoundError:
            return 0

    def wait_mail(self, user: str = "alice", count: int = 1, timeout: float = 30) -> list[bytes]:
        """Wait until a user has `count` messages and give them."""
        wait_until(
            lambda: self.mail_count(user) >= count,
            timeout,
            lambda: f"{user} has {self.mail_count(user)} of {count} messages\n{self.log[-4000:]}",
        )
        return self.mail(user)

    def wait_message(self, mark: str, user: str = "alice", timeout: float = 30) -> bytes:
        """Wait until a user has a message with `mark` in it and give it."""

        def found() -> list[bytes]:
            return [message for message in self.mail(user) if mark.encode() in message]

        wait_until(
            lambda: bool(found()), timeout, lambda: f"no {mark} for {user}\n{self.log[-4000:]}"
        )
        return found()[0]

    def queue_is_empty(self) -> bool:
        """Ask the running server whether nothing waits or is under way."""
        listed = self.command("queue", "list", "--json")
        assert listed.status == 0, listed.output
        return not listed.output.strip().strip("[]")

    def wait_idle(self, timeout: float = 60) -> None:
        """Wait until the queue is empty."""
        wait_until(self.queue_is_empty, timeout, lambda: f"mail is left\n{self.log[-4000:]}")

    def peak_memory(self) -> int:
        """The most memory it has had, in octets."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
        raise AssertionError("no VmHWM: not Linux")


def apply(settings: Settings, document: dict[str, Any]) -> None:
    """Put settings into a configuration as TOML has it."""
    for path, value in settings.items():
        *above, last = path.split(".")
        at: Any = document
        for key in above:
            at = at[int(key)] if key.isdigit() else at.setdefault(key, {})
        at[last] = value


def prepared(
    directory: Path,
    *,
    users: Sequence[str] = ("alice",),
    settings: Settings | None = None,
    environ: Mapping[str, str] | None = None,
) -> Server:
    """Make a server directory and configure it; nothing runs yet. The caller must `close` it."""
    server = Server(directory, free_port_base(25, 80, 465, 587), environ or {})
    server.init(users)
    if settings:
        server.configure(settings)
    return server


@contextlib.contextmanager
def serving(
    *,
    users: Sequence[str] = ("alice",),
    settings: Settings | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run a server in a new directory until the block ends."""
    with open_directory() as directory:
        server = prepared(directory / "server", users=users, settings=settings, environ=environ)
        try:
            server.start()
            yield server
        finally:
            server.close()


def _toml(table: Mapping[str, Any], path: str = "") -> str:
    """Write a TOML document: scalars, lists of scalars, tables and lists of tables."""
    plain, tables = [], []
    for key, value in table.items():
        name = f"{path}{key}"
        if isinstance(value, dict):
            tables.append(f"\n[{name}]\n{_toml(value, name + '.')}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            tables += [f"\n[[{name}]]\n{_toml(item, name + '.')}" for item in value]
        else:
            plain.append(f"{key} = {json.dumps(value, ensure_ascii=False)}\n")
    return "".join(plain + tables)
