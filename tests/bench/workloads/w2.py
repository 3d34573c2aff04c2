"""W2: relay, from the client's connection to the next server."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.load import OCTETS, Burst, Sink, fitting, sink, sink_place, timed, wait_count
from tests.bench.peer import ABROAD, Endpoint, Figures, Running, Setup


@dataclass(slots=True)
class W2:
    """A run ends when Postfix's smtp-sink has counted the last message."""

    name: str = "W2"
    sessions: int = 20
    messages: int = 4000
    warm: int = 400
    unit: str = "messages/s"
    _sink: Endpoint = field(default_factory=sink_place)

    @property
    def title(self) -> str:
        return (
            f"up to {self.messages:,} messages of {OCTETS} octets, one per connection, {self.sessions} at once, relayed to "
            "Postfix's smtp-sink, until it has the last"
        )

    def setup(self, directory: Path) -> Setup:
        """See peer.Workload."""
        self._sink = sink_place()
        return Setup(directory, relay=self._sink)

    def measure(self, server: Running) -> Figures:
        """See peer.Workload."""
        with sink(self._sink) as there:
            warm = self.warm
            count = fitting(self.messages, warm, lambda: self._relay(server, there, warm, warm))
            return timed(server, count, lambda: self._relay(server, there, count, warm + count))

    def _relay(self, server: Running, there: Sink, count: int, goal: int) -> None:
        """Send `count` more, so that the sink has counted `goal`."""
        Burst(self.sessions).send(server, f"bench@{ABROAD}", count)
        wait_count(there.received, goal, "messages were relayed")


WORKLOADS = (W2(),)
