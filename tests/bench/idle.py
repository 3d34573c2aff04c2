"""Connections that have said EHLO and then say nothing more.

They come from many addresses of 127.0.0.0/8, so that neither the local ports of one address nor a server's limit
for one client is what ends them.
"""

import itertools
import resource
import socket
from collections.abc import Callable, Iterator
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

    count: int
    ended: str = ""  # why there are no more; empty when all were wanted


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
        count, ended = 0, ""
        while count < wanted and not ended:
            batch = min(_AT_ONCE, wanted - count)
            opened, ended = _open(to, list(itertools.islice(sources, batch)), patience, stack)
            count += opened
            if not ended and count % 100 < _AT_ONCE:
                ended = enough()
        if not count:
            raise Failed(f"no connection could be held: {ended}")
        yield Idle(count, ended)


def _open(to: Endpoint, sources: list[str], patience: float, stack: ExitStack) -> tuple[int, str]:
    """Open a few connections side by side; how many greeted and took EHLO, and what ended the others."""
    wires = []
    try:
        for source in sources:
            plain = stack.enter_context(
                socket.create_connection(to, patience, source_address=(source, 0))
            )
            wires.append(Wire(plain))
        for wire in wires:
            wire.expect("220")
    except (OSError, Failed) as error:
        return 0, str(error)
    greeted = 0
    for wire in wires:
        try:
            wire.ask("EHLO idle.example", "250")
        except (OSError, Failed) as error:
            return greeted, str(error)
        greeted += 1
    return greeted, ""


def memory_left() -> int:
    """Octets that programs could still get (MemAvailable)."""
    with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    raise Unavailable("/proc/meminfo has no MemAvailable: not Linux")
