"""A server that is one command in the foreground: `Running`, for the adapters in tests/bench/servers."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.bench.peer import Endpoint, Failed, Usage
from tests.bench.processes import Processes, processes


@dataclass(frozen=True, slots=True)
class Plan:
    """How a server is run; every start finds the same files."""

    name: str
    address: Endpoint
    domain: str
    mail: Path  # each user has a Maildir of that name in it
    command: Sequence[str]
    output: Path
    user: str = ""  # whom it becomes
    ends: signal.Signals = signal.SIGTERM  # what stops it in good order


@dataclass(frozen=True, slots=True)
class Daemon:
    """See peer.Running."""

    plan: Plan
    processes: Processes

    @property
    def address(self) -> Endpoint:
        return self.plan.address

    @property
    def domain(self) -> str:
        return self.plan.domain

    @property
    def usage(self) -> Usage:
        return self.processes.usage

    def inbox(self, user: str) -> Path:
        return self.plan.mail / user / "new"

    def restart(self) -> float:
        self.processes.stop(number=self.plan.ends)
        return self.start()

    def start(self) -> float:
        """Give the seconds until it greeted. Raises Failed when it does not."""
        plan = self.plan
        self.processes.start(plan.command, user=plan.user, output=plan.output)
        try:
            return self.processes.wait_greeting(plan.address)
        except Failed as failure:
            raise Failed(f"{plan.name} does not start: {failure}") from None


_Server = TypeVar("_Server", bound=Daemon)


@contextmanager
def running(plan: Plan, kind: type[_Server]) -> Iterator[_Server]:
    """Run a server until the block ends."""
    with processes() as group:
        server = kind(plan, group)
        server.start()
        yield server
        group.stop(number=plan.ends)
