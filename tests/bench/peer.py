"""What `scripts/bench` measures and on what: a server that can be run, a workload that can be laid on it.

    for workload, peer in turns:                      tests/bench/run.py
        with peer.running(workload.setup(disk)) as server:
            figures = workload.measure(server)

Every measurement starts its server anew on an empty directory, so that nothing of the one before is left and peak
memory belongs to one workload.

A module in tests/bench/servers has `PEER: Peer`. A module in tests/bench/workloads has `WORKLOADS`, a tuple of Workload,
each a dataclass; one with a field `messages: int` gets that replaced by `--messages`. Processes are started with
tests/bench/processes.py, which puts them into a control group, counts what they use and ends them.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

ABROAD = "abroad.test"  # mail for this domain leaves by `Setup.relay`


class Endpoint(NamedTuple):
    """An address and port on loopback."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Certificate(NamedTuple):
    """PEM files of a server's certificate and its key (P-256)."""

    chain: Path
    key: Path


class Checks(NamedTuple):
    """Everything is on: SPF, DKIM and DMARC of what comes in at `Running.address`, with names from the machine's
    resolver, and a DKIM signature for the server's domain on what is given to `Submitting.submission`."""

    selector: str
    key: Path  # PEM, RSA


@dataclass(frozen=True, slots=True)
class Setup:
    """What a workload asks of a server before it starts."""

    directory: Path  # new and empty, on the disk that is measured; everybody may enter it
    users: tuple[str, ...] = ("bench",)  # mailboxes at the server's domain
    relay: Endpoint | None = None  # where mail for every other domain goes; None: nowhere
    certificate: Certificate | None = None  # for STARTTLS
    checks: Checks | None = None  # None: nothing that asks DNS
    backlog: int = 0  # messages that will wait for a destination that is away
    connections: int = 0  # open at once, from many addresses of 127.0.0.0/8; 0: some hundreds


class Usage(Protocol):
    """What all processes of a server have used since it was started."""

    def cpu(self) -> float:
        """User and system time in seconds, of ended processes too."""

    def peak_memory(self) -> int:
        """The largest sum of their proportional set sizes (PSS) that was seen, in octets."""

    def memory(self) -> int:
        """That sum now, in octets."""


class Running(Protocol):
    """A server at work."""

    @property
    def address(self) -> Endpoint:
        """Where it takes mail. Whatever comes from loopback it may relay."""

    @property
    def domain(self) -> str:
        """The domain of its mailboxes."""

    @property
    def usage(self) -> Usage: ...

    def inbox(self, user: str) -> Path:
        """The directory with one file for each delivered message (new/ of the Maildir); perhaps not there yet."""

    def restart(self) -> float:
        """Stop it in good order and start it again on the same queue; the seconds from the start of the new one
        until it greets."""


@runtime_checkable
class Narrow(Protocol):
    """A running server that is only offered so many connections at once, because it would hang with more."""

    @property
    def most_sessions(self) -> int: ...


@runtime_checkable
class Submitting(Protocol):
    """A running server with `Setup.checks`."""

    @property
    def submission(self) -> Endpoint:
        """Where its own users give mail; what comes from loopback may leave from there, signed and not judged."""


class Peer(Protocol):
    """A server that can be measured."""

    @property
    def name(self) -> str:
        """As its makers spell it."""

    @property
    def notes(self) -> str:
        """What was set so that the comparison is fair, and whether its queue is durable: for the report."""

    def version(self) -> str:
        """Raises Unavailable when it is not there."""

    def lacks(self, workload: str) -> str:
        """Why it cannot run this workload, in a few words; empty when it can."""

    def running(self, setup: Setup) -> AbstractContextManager[Running]:
        """Run it until the block ends; then nothing it started is left. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement."""

    rate: float | None = None  # of the workload's unit per second
    cpu: float | None = None  # milliseconds of the server's CPU per message
    memory: int | None = None  # peak, octets
    more: Mapping[str, float] = field(default_factory=dict)  # what only this workload has, by title


class Workload(Protocol):
    """Work that is laid on every server in the same way."""

    @property
    def name(self) -> str:
        """As in "W1" or "W1k"."""

    @property
    def title(self) -> str:
        """One line for the report: what is sent, how, and when a run ends."""

    @property
    def unit(self) -> str:
        """What `Figures.rate` counts, as in "messages/s"."""

    def setup(self, directory: Path) -> Setup: ...

    def measure(self, server: Running) -> Figures:
        """Warm the server up, do the work, and give the figures. Raises Failed when the server did not do it."""


@runtime_checkable
class Long(Protocol):
    """A workload that takes so long, and varies so little, that it is not measured in every round."""

    @property
    def most_rounds(self) -> int: ...


class Unavailable(Exception):  # noqa: N818  a state of the world, as the report words it
    """A server or tool that is not there; the text is one sentence with a remedy."""


class Failed(Exception):  # noqa: N818
    """A server that did not do the work; the text says what was seen."""
