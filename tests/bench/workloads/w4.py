"""W4: STARTTLS for each message, with a full TLS 1.3 handshake and a P-256 certificate.

The client's own CPU is reported beside the server's, because it runs on the same processors: a server that takes
little of them is limited by the client (tests/bench/tls_client.py), and then only the CPU per message compares.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import trustme

from tests.bench import tls_client
from tests.bench.load import OCTETS, files, timed, wait_count
from tests.bench.peer import Certificate, Figures, Narrow, Running, Setup
from tests.bench.tls_client import Load, Sent


@dataclass(frozen=True, slots=True)
class W4:
    """Messages of 4 KB, one per connection."""

    name: str = "W4"
    messages: int = 2000
    sessions: int = 20
    octets: int = OCTETS
    warm: int = 200
    patience: float = 300  # seconds for all of them
    unit: str = "messages/s"

    @property
    def title(self) -> str:
        return (
            f"{self.messages:,} messages of {self.octets} octets, one per connection, each after STARTTLS with a full "
            f"TLS 1.3 handshake (P-256), {self.sessions} at once, until the last is in the Maildir"
        )

    def setup(self, directory: Path) -> Setup:
        """See peer.Workload."""
        return Setup(directory, certificate=certificate(directory / "tls"))

    def measure(self, server: Running) -> Figures:
        """See peer.Workload."""
        self._deliver(server, self.warm, self.warm)
        clients: list[Sent] = []
        figures = timed(
            server,
            self.messages,
            lambda: clients.append(self._deliver(server, self.messages, self.warm + self.messages)),
        )
        cpu = clients[0].cpu * 1000 / self.messages
        return replace(figures, more={"client's CPU, ms": cpu})

    def _deliver(self, server: Running, count: int, goal: int) -> Sent:
        """Send `count` more, so that `goal` are in the Maildir."""
        most = server.most_sessions if isinstance(server, Narrow) else self.sessions
        load = Load(
            min(self.sessions, most, count),
            count,
            self.octets,
            "a@sender.example",
            f"bench@{server.domain}",
        )
        sent = tls_client.send(load, server.address, self.patience)
        inbox = server.inbox("bench")
        wait_count(lambda: files(inbox), goal, f"messages are in {inbox}")
        return sent


def certificate(directory: Path) -> Certificate:
    """Make a P-256 key, which only root may read, and a certificate for localhost in a new directory."""
    directory.mkdir()
    issued = trustme.CA().issue_cert("localhost")  # ECDSA on P-256 unless it is told otherwise
    chain, key = directory / "chain.pem", directory / "key.pem"
    for pem in issued.cert_chain_pems:
        pem.write_to_path(chain, append=True)
    key.touch(0o600)
    issued.private_key_pem.write_to_path(key, append=True)
    return Certificate(chain, key)


WORKLOADS = (W4(),)
