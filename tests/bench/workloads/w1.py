"""W1: small messages from the client's connection to the Maildir, one per connection; W1k: over kept connections."""

from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import OCTETS, Burst, files, fitting, timed, wait_count
from tests.bench.peer import Figures, Running, Setup

_USER = "bench"


@dataclass(frozen=True, slots=True)
class W1:
    """A run ends when the last message is in the Maildir."""

    name: str
    sessions: int = 20
    kept: bool = False
    messages: int = 4000
    warm: int = 400
    unit: str = "messages/s"

    @property
    def title(self) -> str:
        how = "connections kept open" if self.kept else "one per connection"
        return f"up to {self.messages:,} messages of {OCTETS} octets, {how}, {self.sessions} at once, until the last is in the Maildir"

    def setup(self, directory: Path) -> Setup:
        """See peer.Workload."""
        return Setup(directory, users=(_USER,))

    def measure(self, server: Running) -> Figures:
        """See peer.Workload."""
        warm = self.warm
        count = fitting(self.messages, warm, lambda: self._deliver(server, warm, warm))
        return timed(server, count, lambda: self._deliver(server, count, warm + count))

    def _deliver(self, server: Running, count: int, goal: int) -> None:
        """Send `count` more, so that `goal` are in the Maildir."""
        Burst(self.sessions, self.kept).send(server, f"{_USER}@{server.domain}", count)
        inbox = server.inbox(_USER)
        wait_count(lambda: files(inbox), goal, f"messages are in {inbox}")


WORKLOADS = (W1("W1"), W1("W1-100", sessions=100), W1("W1k", kept=True))
