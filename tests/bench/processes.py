"""How a measured server is started, watched and ended: all its processes together, in a control group.

    with processes() as group:
        group.start([program, "-foreground"], environment={…}, user="nobody", output=directory / "log")
        group.wait_greeting(Endpoint("127.0.0.2", 2525))
        … group.usage …
        group.stop()          # in good order; then start() again: usage goes on counting

At the end of the block whatever is left in the group is killed and the group removed, so a server may fork and leave
its parent, its session and its process group as it likes (without a control group: not its session).
"""

import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.peer import Endpoint, Failed
from tests.bench.usage import Group, GroupUsage, new_group, watched

_STEP = 0.02  # seconds between two looks


@dataclass(slots=True)
class Processes:
    """The processes of one server."""

    group: Group
    usage: GroupUsage
    _started: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _log: Path | None = None

    def command(self, command: Sequence[str], *, user: str = "") -> list[str]:
        """The command that enters the group, becomes `user` and then is `command`: for who starts it by other means
        (which must be in a new session)."""
        return self.group.entered([*_becoming(user), *command])

    def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        user: str = "",
        output: Path | None = None,
    ) -> "subprocess.Popen[bytes]":
        """Start a program in the group; it must stay in the foreground or leave children behind, either will do.

        It is the leader of a new session, reads nothing, and its output and errors are added to the file `output`
        (None: thrown away). `user` is whom it becomes, "" for whom we are."""
        self._log = output
        with ExitStack() as stack:
            to = stack.enter_context((output or Path(os.devnull)).open("ab"))
            started = subprocess.Popen(
                self.command(command, user=user),
                env=environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=to,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.group.lead(started.pid)
        self._started.append(started)
        return started

    def wait_greeting(self, at: Endpoint, seconds: float = 30) -> float:
        """Wait until a server there says 220, and give how many seconds that took. Raises Failed when it does not or
        nothing is left that could, with the end of `output`."""
        began = time.monotonic()
        while not _greets(at):
            if not self.alive():
                raise Failed(f"it ended before it greeted{self._last_words()}")
            if time.monotonic() - began > seconds:
                raise Failed(f"no greeting at {at} after {seconds:g} s{self._last_words()}")
            time.sleep(_STEP)
        return time.monotonic() - began

    def alive(self) -> bool:
        """Whether any of the processes lives."""
        return bool(self._pids())

    def stop(self, seconds: float = 10, number: signal.Signals = signal.SIGTERM) -> None:
        """End them: a signal to those that were started, or to all when these are gone; after `seconds` SIGKILL."""
        self._signal(self._leaders() or self._pids(), number)
        if not self._wait_ended(seconds):
            self.kill()
        self._started.clear()

    def kill(self) -> None:
        """SIGKILL to all, and again to those that were born meanwhile."""
        for _ in range(50):
            self._signal(self._pids(), signal.SIGKILL)
            if self._wait_ended(0.2):
                return

    def _leaders(self) -> frozenset[int]:
        """Those that were started and live; who has ended is waited for here, or it would stay in the group."""
        return frozenset(each.pid for each in self._started if each.poll() is None)

    def _pids(self) -> frozenset[int]:
        """All that live: who was just started may not have entered the group yet."""
        return self._leaders() | self.group.pids()

    def _wait_ended(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > end:
                return False
            time.sleep(_STEP)
        return True

    def _signal(self, pids: frozenset[int], number: signal.Signals) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _last_words(self) -> str:
        if self._log is None or not self._log.exists():
            return ""
        return ": " + " / ".join(self._log.read_text("utf-8", "replace").splitlines()[-5:])


@contextmanager
def processes() -> Iterator[Processes]:
    """Give a group to start a server's processes in; at the end of the block none is left."""
    with ExitStack() as stack:
        group = new_group()
        stack.callback(group.remove)
        running = Processes(group, stack.enter_context(watched(group)))
        for _ in range(2):  # once more for a signal that comes in the middle of it
            stack.callback(running.kill)
        yield running


def _becoming(user: str) -> list[str]:
    if not user:
        return []
    gid = pwd.getpwnam(user).pw_gid
    return ["setpriv", f"--reuid={user}", f"--regid={gid}", "--init-groups"]


def _greets(at: Endpoint) -> bool:
    with suppress(OSError), socket.create_connection(at, 5) as connection:
        connection.settimeout(5)
        return connection.recv(4).startswith(b"220")
    return False
