"""A private Dovecot, unpacked and not installed, that is an authentication server and nothing else.

It answers on a Unix socket of its own: what `auth.dovecot.socket` names, and what Postfix takes as `smtpd_sasl_path` with
`smtpd_sasl_type = dovecot`. It must be started as root, because Dovecot must; its processes then become nobody.

    with dovecot.running({"alice@example.org": "secret"}) as server:
        server.socket, server.kill(), server.start()
"""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.places import open_directory
from tests.support.programs import DOVECOT, DOVECOT_LIBRARIES, dovecot_program, environment
from tests.support.waiting import wait_until

_SETTINGS = """\
base_dir = {root}/base
state_dir = {root}/state
log_path = {root}/log
libexec_dir = {dovecot}/usr/lib/dovecot
mail_plugin_dir = {dovecot}/usr/lib/dovecot/modules
import_environment = TZ LD_LIBRARY_PATH={libraries}
protocols =
ssl = no
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = games
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {root}/users
}}
"""
LISTENER = """\
service auth {
  unix_listener {socket} {
    mode = 0666
  }
}
"""


@dataclass(slots=True)
class Dovecot:
    """A Dovecot that knows `accounts`: name to password, or to `password` and Dovecot's extra fields after a tab
    ("secret\\tnologin=y"). `settings` are further lines of dovecot.conf; "{socket}" in them is its socket."""

    root: Path
    accounts: Mapping[str, str]
    settings: str = LISTENER
    _process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def socket(self) -> Path:
        return self.root / "auth-client"

    @property
    def log(self) -> str:
        """What its processes have logged so far."""
        path = self.root / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self) -> None:
        """Start it and return when it accepts on its socket."""
        assert self._process is None, "still running"
        config = str(self.root / "dovecot.conf")
        self._write()
        self._process = subprocess.Popen(
            # Dovecot would look for doveconf where it would be installed; this way it need not
            [
                *(dovecot_program("doveconf"), "-c", config, "-m", "master"),
                *("-e", dovecot_program("dovecot"), "-F", "-c", config),
            ],
            env=environment() | {"LD_LIBRARY_PATH": DOVECOT_LIBRARIES},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(self._answers, 20, lambda: f"Dovecot does not answer\n{self.log}")

    def stop(self) -> None:
        """End it and its processes."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9, with all its processes."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it keep its sockets and do nothing, until it is killed or `resume`d."""
        assert self._process is not None, "not running"
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None, "not running"
        os.killpg(self._process.pid, signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        if (status := self._process.poll()) is not None:
            raise AssertionError(f"Dovecot ended with status {status}\n{self.log}")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            try:
                connection.connect(str(self.socket))
                return connection.recv(8) == b"VERSION\t"
            except OSError:
                return False

    def _write(self) -> None:
        for name in ("base", "state"):
            (self.root / name).mkdir(exist_ok=True)
        own = _SETTINGS.format(root=self.root, dovecot=DOVECOT, libraries=DOVECOT_LIBRARIES)
        further = self.settings.replace("{socket}", str(self.socket))
        (self.root / "dovecot.conf").write_text(own + further, "utf-8")
        lines = (f"{name}:{_fields(value)}\n" for name, value in self.accounts.items())
        (self.root / "users").write_text("".join(lines), "utf-8")


def _fields(value: str) -> str:
    password, _, extra = value.partition("\t")
    return f"{{PLAIN}}{password}::::::{extra}"


@contextmanager
def running(accounts: Mapping[str, str], settings: str = LISTENER) -> Iterator[Dovecot]:
    """Run a Dovecot in a new directory until the block ends. Skips where it cannot be run."""
    dovecot_program("dovecot")
    if os.geteuid() != 0:
        pytest.skip("Dovecot can only be started by root")
    with open_directory() as root:
        server = Dovecot(root, accounts, settings)
        try:
            server.start()
            yield server
        finally:
            server.kill()
