"""W5: idle connections, what each costs and whether mail is served beside them.

The memory of a connection is what all processes of the server have more (PSS) with the connections than before,
divided by their number. It is not waited for anything to be given back, because they are still there. Beside them,
messages are sent one after the other, each over a new connection; the time of one is from the connection to its 250.
A server that holds fewer connections than it was asked to is measured with those it holds, and "messages served" may
then be less than the number that was tried.
"""

import socket
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench import idle
from tests.bench.peer import Endpoint, Failed, Figures, Running, Setup
from tests.bench.wire import Wire

_CONTENT = (
    b"From: <bench@sender.example>\r\nSubject: is anybody there?\r\n\r\n" + b"X" * 70 + b"\r\n"
)
_RESERVE = 1536 << 20  # octets of memory the machine must keep


@dataclass(frozen=True, slots=True)
class W5:
    """So many connections that have said EHLO."""

    name: str
    connections: int
    transactions: int = 20
    most_rounds: int = 3
    patience: float = 30  # seconds for one reply
    unit: str = ""

    @property
    def title(self) -> str:
        rounds = "; one round" if self.most_rounds == 1 else ""
        return (
            f"{self.connections:,} idle connections that have said EHLO: memory of each, and the time of one message "
            f"beside them (median of {self.transactions}){rounds}"
        )

    def setup(self, directory: Path) -> Setup:
        """See peer.Workload."""
        return Setup(directory, connections=self.connections + 100)

    def measure(self, server: Running) -> Figures:
        """See peer.Workload."""
        patience = self.patience
        send = partial(transaction, server.address, f"bench@{server.domain}", patience)
        for _ in range(5):  # so that what is made once is there before the first look
            send()
        before = server.usage.memory()
        with idle.held(server.address, self.connections, _short_of_memory, patience) as held:
            count = held.count()
            if not count:
                raise Failed("it closed all idle connections before the last was open")
            each = (server.usage.memory() - before) / count
            times = _served(send, self.transactions)
        more = {
            "connections held": float(count),
            "KB per connection": each / 1024,
            "messages served": float(len(times)),
        }
        if times:
            more["ms for a message"] = statistics.median(times) * 1000
            more["ms at worst"] = max(times) * 1000
        return Figures(memory=server.usage.peak_memory(), more=more)


def _served(send: Callable[[], float], count: int) -> list[float]:
    """The times of so many messages; fewer when one is not taken, because then no other is tried."""
    times: list[float] = []
    with suppress(Failed):
        while len(times) < count:
            times.append(send())
    return times


def transaction(to: Endpoint, recipient: str, patience: float) -> float:
    """Send one message over a connection of its own; the seconds until it was taken. Raises Failed."""
    began = time.perf_counter()
    try:
        with socket.create_connection(to, patience) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire = Wire(connection)
            wire.expect("220")
            wire.ask("EHLO client.example", "250")
            wire.transaction("bench@sender.example", recipient, _CONTENT)
            seconds = time.perf_counter() - began
            wire.ask("QUIT", "221")
    except OSError as error:
        raise Failed(f"a message beside the idle connections: {error}") from None
    return seconds


def _short_of_memory() -> str:
    left = idle.memory_left()
    return "" if left > _RESERVE else f"only {left >> 20} MB of the machine's memory were left"


WORKLOADS = (W5("W5", 2_000), W5("W5-10k", 10_000, most_rounds=1))
