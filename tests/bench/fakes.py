"""Servers and workloads that need no real server: for the tests of the benchmark itself."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.peer import Endpoint, Figures, Running, Setup
from tests.bench.processes import Processes, processes
from tests.bench.report import About, Contestant
from tests.bench.usage import GroupUsage

ABOUT = About("scripts/bench", "abc1234", "2026-11-22", "2 CPUs", "journaled ext4", 0.25, 3)


@dataclass(frozen=True, slots=True)
class FakeRunning:
    """A process that only sleeps."""

    group: Processes
    mail: Path

    @property
    def address(self) -> Endpoint:
        return Endpoint("127.0.0.1", 9)

    @property
    def domain(self) -> str:
        return "fake.test"

    @property
    def usage(self) -> GroupUsage:
        return self.group.usage

    def inbox(self, user: str) -> Path:
        return self.mail / user

    def restart(self) -> float:
        return 0.0


@dataclass(frozen=True, slots=True)
class FakePeer:
    """Runs that process; notes its number and directory."""

    name: str = "Fake"
    notes: str = "nothing was set"
    missing: Mapping[str, str] = field(default_factory=dict)
    started: list[tuple[int, Path]] = field(default_factory=list)

    def version(self) -> str:
        return "1.0"

    def lacks(self, workload: str) -> str:
        return self.missing.get(workload, "")

    @contextmanager
    def running(self, setup: Setup) -> Iterator[FakeRunning]:
        with processes() as group:
            process = group.start(["sleep", "600"])
            self.started.append((process.pid, setup.directory))
            yield FakeRunning(group, setup.directory)


def _figures(server: Running) -> Figures:
    return Figures(100, 2.5, 30_000_000)


@dataclass(frozen=True, slots=True)
class FakeWorkload:
    """`does` is what is done to a running server."""

    name: str = "W1"
    title: str = "so many messages, until the last has arrived"
    unit: str = "messages/s"
    does: Callable[[Running], Figures] = _figures

    def setup(self, directory: Path) -> Setup:
        return Setup(directory)

    def measure(self, server: Running) -> Figures:
        return self.does(server)


def contestant(key: str, peer: FakePeer | None = None) -> Contestant:
    return Contestant(key, peer or FakePeer(key.capitalize()), "1.0")
