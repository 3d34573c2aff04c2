"""What a running server has that tests/support can run too: ours, and Postfix."""

import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.peer import Endpoint
from tests.bench.processes import Processes
from tests.bench.usage import GroupUsage
from tests.support.postfix import Postfix
from tests.support.server import Server


@dataclass(frozen=True, slots=True)
class RunningSupported:
    """See peer.Running."""

    server: Server | Postfix
    group: Processes
    address: Endpoint
    domain: str

    @property
    def usage(self) -> GroupUsage:
        return self.group.usage

    def inbox(self, user: str) -> Path:
        """See peer.Running."""
        return self.server.maildir(user) / "new"

    def restart(self) -> float:
        """See peer.Running."""
        self.server.stop()
        began = time.monotonic()
        self.server.start()
        self.group.wait_greeting(self.address)
        return time.monotonic() - began
