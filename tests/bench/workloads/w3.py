"""W3: messages of 10 MB, and beside them what the same disk gives to a loop that writes and syncs every octet twice.

That loop (tests/bench/twice.py) is the least a durable server can do; it runs before each measurement, in the same
directory.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.bench.load import Burst, files, timed, wait_count
from tests.bench.peer import Figures, Running, Setup
from tests.bench.twice import write_twice

_MB = 1e6


@dataclass(slots=True)
class W3:
    """A run ends when the last message is in the Maildir."""

    name: str = "W3"
    messages: int = 40  # twice as many octets must fit on the disk
    sessions: int = 4
    octets: int = 10_000_000
    warm: int = 4
    unit: str = "MB/s"
    reference: float = field(default=0, init=False)  # the loop's MB/s where `setup` was last

    @property
    def title(self) -> str:
        return (
            f"{self.messages} messages of {self.octets / _MB:g} MB, one per connection, {self.sessions} at once, until the "
            "last is in the Maildir; beside it a loop that writes and syncs as many octets twice"
        )

    def setup(self, directory: Path) -> Setup:
        """See peer.Workload. The loop is measured here, before there is a server."""
        self.reference = write_twice(directory, self.octets, max(1, self.messages // 3)) / _MB
        return Setup(directory)

    def measure(self, server: Running) -> Figures:
        """See peer.Workload."""
        self._deliver(server, self.warm, self.warm)
        figures = timed(
            server,
            self.messages,
            lambda: self._deliver(server, self.messages, self.warm + self.messages),
        )
        return compared(figures, self.octets, self.reference)

    def _deliver(self, server: Running, count: int, goal: int) -> None:
        """Send `count` more, so that `goal` are in the Maildir."""
        Burst(self.sessions, octets=self.octets).send(server, f"bench@{server.domain}", count)
        inbox = server.inbox("bench")
        wait_count(lambda: files(inbox), goal, f"messages are in {inbox}")


def compared(figures: Figures, octets: int, reference: float) -> Figures:
    """The figures of messages of so many octets with a rate in MB/s, beside the loop's."""
    assert figures.rate is not None
    rate = figures.rate * octets / _MB
    more = {"the loop, MB/s": reference, "share of the loop": rate / reference}
    return replace(figures, rate=rate, more=more)


WORKLOADS = (W3(),)
