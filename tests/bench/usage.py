"""What a running server uses: CPU time and memory of all its processes, by control group.

CPU is the control group's own account (cgroup v1: cpuacct.usage, v2: cpu.stat), so processes that have ended count.
Memory is the sum of the proportional set sizes (PSS, /proc/PID/smaps_rollup): a page that ten processes share counts once.
A thread looks about three times a second, and less often where a look takes long (hundreds of processes), so that
looking never takes more than 2 % of one processor; a peak between two looks is missed.

Where no control group can be made (no root, no cgroupfs), the processes are those of the sessions that were started,
and CPU time of a process that ended counts only as long as the process that waited for it lives.
"""

import itertools
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

_TICK = os.sysconf("SC_CLK_TCK")
_STEP = 0.3  # seconds between two looks at memory, at least
_SHARE = 50  # and so many times what a look took
_PREFIX = "notqmail-bench-"
_numbers = itertools.count(1)


class Group(Protocol):
    """Processes that belong together."""

    def entered(self, command: list[str]) -> list[str]:
        """The command that enters the group and becomes `command`."""

    def lead(self, pid: int) -> None:
        """Note a process that was started as the leader of a new session."""

    def pids(self) -> frozenset[int]:
        """Those that live."""

    def cpu(self) -> float:
        """User and system time of all, in seconds."""

    def remove(self) -> None:
        """Take the group away once nobody is in it."""


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """A control group of version 1 (cpuacct) or 2."""

    path: Path

    def entered(self, command: list[str]) -> list[str]:
        """See Group: a shell writes its own number into the group before it becomes the command."""
        script = 'echo $$ > "$0" && exec "$@"'
        return ["sh", "-c", script, str(self.path / "cgroup.procs"), *command]

    def lead(self, pid: int) -> None:
        """See Group: the process has entered by itself."""

    def pids(self) -> frozenset[int]:
        """See Group."""
        return frozenset(map(int, (self.path / "cgroup.procs").read_text().split()))

    def cpu(self) -> float:
        """See Group."""
        if (total := self.path / "cpuacct.usage").exists():
            return int(total.read_text()) / 1e9
        lines = (self.path / "cpu.stat").read_text().splitlines()
        return int(dict(line.split() for line in lines)["usage_usec"]) / 1e6

    def remove(self) -> None:
        """See Group. The kernel may need a moment for processes that were killed."""
        for _ in range(100):
            try:
                self.path.rmdir()
            except OSError:
                time.sleep(0.02)
            else:
                return


@dataclass(frozen=True, slots=True)
class Sessions:
    """The processes of some sessions, found in /proc."""

    leaders: set[int] = field(default_factory=set)

    def entered(self, command: list[str]) -> list[str]:
        """See Group."""
        return command

    def lead(self, pid: int) -> None:
        """See Group."""
        self.leaders.add(pid)

    def pids(self) -> frozenset[int]:
        """See Group."""
        return frozenset(pid for pid, state, _ in self._members() if state != "Z")

    def cpu(self) -> float:
        """See Group."""
        return sum(ticks for _, _, ticks in self._members()) / _TICK

    def remove(self) -> None:
        """See Group: there is nothing to remove."""

    def _members(self) -> Iterator[tuple[int, str, int]]:
        """Number, state and ticks; the fields after the name are numbered as in proc(5), less 3."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    if int(fields[3]) in self.leaders:
                        yield int(entry.name), fields[0], sum(map(int, fields[11:15]))


def new_group() -> Group:
    """Make a control group; where that is not possible, go by sessions."""
    name = f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
    for above in _hierarchies():
        path = above / name
        with suppress(OSError):
            _sweep(above)
            path.mkdir()
            if (path / "cpuacct.usage").exists() or "usage_usec" in (path / "cpu.stat").read_text():
                return ControlGroup(path)
        with suppress(OSError):
            path.rmdir()
    return Sessions()


def _sweep(above: Path) -> None:
    """Remove what a run left that was killed with -9; a group with a process in it stays."""
    for left in above.glob(f"{_PREFIX}*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists():
            with suppress(OSError):
                left.rmdir()


def _hierarchies() -> Iterator[Path]:
    """Where a group that counts CPU time might be made: version 1 first, below our own group or at the root."""
    ours = _own_groups()
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    for kind, controller in (("cgroup", "cpuacct"), ("cgroup2", "")):
        for _, where, mounted, options, *_ in mounts:
            if mounted == kind and controller in ("", *options.split(",")):
                yield Path(where + ours.get(controller, "/"))
                yield Path(where)


def _own_groups() -> dict[str, str]:
    """The group this process is in, by controller; "" stands for version 2."""
    groups: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        groups |= dict.fromkeys(controllers.split(","), path)
    return groups


@dataclass(slots=True)
class GroupUsage:
    """peer.Usage of a group; `watched` keeps an eye on its memory."""

    group: Group
    _peak: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def cpu(self) -> float:
        """See peer.Usage."""
        return self.group.cpu()

    def memory(self) -> int:
        """See peer.Usage."""
        now = sum(map(_proportional, self.group.pids()))
        self._peak = max(self._peak, now)
        return now

    def peak_memory(self) -> int:
        """See peer.Usage."""
        self.memory()
        return self._peak

    def _watch(self) -> None:
        pause = _STEP
        while not self._over.wait(pause):
            began = time.monotonic()
            with suppress(OSError):
                self.memory()
            pause = max(_STEP, _SHARE * (time.monotonic() - began))


@contextmanager
def watched(group: Group) -> Iterator[GroupUsage]:
    """Watch what a group uses until the block ends."""
    usage = GroupUsage(group)
    thread = threading.Thread(target=usage._watch, name="memory", daemon=True)
    thread.start()
    try:
        yield usage
    finally:
        usage._over.set()
        thread.join()


def _proportional(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0
