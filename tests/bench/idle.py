"""Connections that have said EHLO and then say nothing more.

They come from many addresses of 127.0.0.0/8, so that neither the local ports of one address nor a server's limit
for one client is what ends them.
"""

import itertools
import resource
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from tests.bench.peer import Endpoint, Failed, Unavailable
from tests.bench.wire import Wire

SOURCES = tuple(f"127.0.0.{host}" for host in range(10, 250))
_AT_ONCE = 4  # connections opened side by side: some servers have a listen backlog of 5
_SPARE = 500  # descriptors for everything else


@dataclass(frozen=True, slots=True)
class Idle:
    """What is held open."""

    sockets: Sequence[socket.socket]
    ended: str = ""  # why there are no more; empty when all were wanted

    def count(self) -> int:
        """How many the server has not closed or said anything more to, as one does that gives up waiting."""
        return sum(map(_silent, self.sockets))


def descriptors(wanted: int) -> None:
    """Let this process have `wanted` sockets. Raises Unavailable when the machine forbids it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = wanted + _SPARE
    if soft >= need:
        return
    if hard != resource.RLIM_INFINITY and hard < need:
        with suppress(ValueError, OSError):  # only root may
            resource.setrlimit(resource.RLIMIT_NOFILE, (need, need))
            return
        raise Unavailable(
            f"{wanted} connections need {need} descriptors and {hard} are allowed; raise `ulimit -Hn`"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))


@contextmanager
def held(
    to: Endpoint, wanted: int, enough: Callable[[], str], patience: float = 30
) -> Iterator[Idle]:
    """Hold idle connections until the block ends. Fewer than `wanted` when the server takes no more, or when
    `enough`, which is asked now and then, gives a reason to stop; Failed when there is not one."""
    descriptors(wanted)
    sources = itertools.cycle(SOURCES)
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        ended = ""
        while len(sockets) < wanted and not ended:
            batch = min(_AT_ONCE, wanted - len(sockets))
            opened, ended = _open(to, list(itertools.islice(sources, batch)), patience, stack)
            sockets += opened
            if not ended and len(sockets) % 100 < _AT_ONCE:
                ended = enough()
        if not sockets:
            raise Failed(f"no connection could be held: {ended}")
        yield Idle(sockets, ended)


def _open(
    to: Endpoint, sources: list[str], patience: float, stack: ExitStack
) -> tuple[list[socket.socket], str]:
    """Open a few connections side by side; those that greeted and took EHLO, and what ended the others."""
    greeted: list[socket.socket] = []
    try:
        sockets = [
            stack.enter_context(socket.create_connection(to, patience, source_address=(source, 0)))
            for source in sources
        ]
        wires = list(map(Wire, sockets))
        for wire in wires:
            wire.expect("220")
        for wire, connection in zip(wires, sockets, strict=True):
            wire.ask("EHLO idle.example", "250")
            greeted.append(connection)
    except (OSError, Failed) as error:
        return greeted, str(error)
    return greeted, ""


def _silent(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def memory_left() -> int:
    """Octets that programs could still get (MemAvailable)."""
    with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    raise Unavailable("/proc/meminfo has no MemAvailable: not Linux")
