"""W6: a backlog. Mail for one destination that is away piles up; does the server still take it as fast as at first, what
memory does it want, and how soon does it greet when it is started again with all that in its queue?

Nobody listens at the destination's address, so every attempt fails at once and the message stays. A server that
takes too long or refuses is cut off, and "stopped at" says with how many messages.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench import backlog
from tests.bench.backlog import Portion
from tests.bench.load import OCTETS
from tests.bench.peer import ABROAD, Endpoint, Figures, Narrow, Running, Setup
from tests.support.programs import environment, postfix_program

AWAY = Endpoint("127.0.0.2", 1)  # a port below 1024 that no program is given by chance


@dataclass(frozen=True, slots=True)
class W6:
    """So many messages that cannot be delivered."""

    name: str
    messages: int
    seconds: float = 90  # after which a server is cut off
    most_rounds: int = 3
    sessions: int = 20
    octets: int = OCTETS
    unit: str = "messages/s"

    @property
    def title(self) -> str:
        rounds = "; one round" if self.most_rounds == 1 else ""
        return (
            f"{self.messages:,} messages of {self.octets} octets for a destination that is away, {self.sessions} sessions, "
            f"until the last is accepted, but no more than {self.seconds:g} s; then a restart{rounds}"
        )

    def setup(self, directory: Path) -> Setup:
        """See peer.Workload."""
        return Setup(directory, relay=AWAY, backlog=self.messages)

    def measure(self, server: Running) -> Figures:
        """See peer.Workload."""
        inject = partial(self._inject, server)
        return figures(
            server, self.messages, lambda: backlog.fill(self.messages, self.seconds, inject)
        )

    def _inject(self, server: Running, messages: int, seconds: float) -> Portion:
        sessions = server.most_sessions if isinstance(server, Narrow) else self.sessions
        command = [postfix_program("smtp-source"), "-c", "-s", str(min(sessions, self.sessions))]
        command += ["-m", str(messages), "-l", str(self.octets)]
        command += ["-f", "bench@sender.example", "-t", f"away@{ABROAD}", str(server.address)]
        return backlog.counted(command, environment(), seconds)


def figures(server: Running, messages: int, fill: Callable[[], Sequence[Portion]]) -> Figures:
    """Fill its queue, start it again, and say what was seen."""
    before, cpu = server.usage.memory(), server.usage.cpu()
    portions = fill()
    spent = server.usage.cpu() - cpu
    taken = sum(portion.messages for portion in portions)
    more = {
        "first tenth, messages/s": portions[0].rate,
        "last tenth, messages/s": portions[-1].rate,
        "MB before": before / 1e6,
        "s until it greets again": server.restart(),
    }
    if taken < messages:
        more["stopped at"] = taken
    return Figures(
        rate=taken / sum(portion.seconds for portion in portions),
        cpu=spent * 1000 / taken,
        memory=server.usage.peak_memory(),
        more=more,
    )


WORKLOADS = (W6("W6", 20_000), W6("W6-200k", 200_000, seconds=200, most_rounds=1))
