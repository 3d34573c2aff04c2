"""A server that is measured in tests: it speaks just enough SMTP, in threads, and uses what it is told to use."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tests.bench.peer import Endpoint

_REPLIES = {
    "EHLO": b"250-small.example\r\n250 8BITMIME\r\n",
    "DATA": b"354 go on\r\n",
    "QUIT": b"221 bye\r\n",
}


@dataclass(slots=True)
class SmallUsage:
    """peer.Usage whose figures are given: `memories` one by one, the last again and again."""

    memories: list[int] = field(default_factory=lambda: [0])
    seconds: list[float] = field(default_factory=lambda: [0.0])

    def cpu(self) -> float:
        return self.seconds.pop(0) if len(self.seconds) > 1 else self.seconds[0]

    def memory(self) -> int:
        return self.memories.pop(0) if len(self.memories) > 1 else self.memories[0]

    def peak_memory(self) -> int:
        return max(self.memories)


@dataclass(slots=True)
class SmallServer:
    """peer.Running. It greets `capacity` connections at once and tells others 421."""

    directory: Path
    address: Endpoint
    capacity: int = 1000
    replies: dict[str, bytes] = field(
        default_factory=dict
    )  # to a verb or "." in place of its usual one
    usage: SmallUsage = field(default_factory=SmallUsage)
    domain: str = "small.example"
    sources: set[str] = field(default_factory=set)  # where connections came from
    _open: set[socket.socket] = field(default_factory=set)
    _taken: "SimpleQueue[int]" = field(default_factory=SimpleQueue)

    def inbox(self, user: str) -> Path:
        return self.directory / user

    def restart(self) -> float:
        return 0.25

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is shut down."""
        with suppress(OSError):
            while True:
                connection, (source, _) = listener.accept()
                self.sources.add(source)
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if len(self._open) < self.capacity:
                self._open.add(connection)
                self._greet(connection)
            else:
                connection.sendall(b"421 too many\r\n")
        self._open.discard(connection)

    def _greet(self, connection: socket.socket) -> None:
        connection.sendall(b"220 small.example\r\n")
        with connection.makefile("rb") as lines:
            for line in lines:
                verb = line.split()[0].decode()
                if verb == "QUIT":  # whoever has heard the reply finds room for another
                    self._open.discard(connection)
                connection.sendall(self._reply(verb))
                if verb == "DATA":
                    while lines.readline() != b".\r\n":
                        pass
                    self._store()
                    connection.sendall(self._reply("."))
                if verb == "QUIT":
                    return

    def _reply(self, verb: str) -> bytes:
        return self.replies.get(verb, _REPLIES.get(verb, b"250 ok\r\n"))

    def _store(self) -> None:
        inbox = self.inbox("bench")
        inbox.mkdir(exist_ok=True)
        self._taken.put(1)
        (inbox / f"{threading.get_ident()}.{self._taken.qsize()}").touch()


@contextmanager
def small_server(directory: Path, **given: Any) -> Iterator[SmallServer]:
    """Run one until the block ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        address = Endpoint(*listener.getsockname())
        server = SmallServer(directory, address, **given)
        thread = threading.Thread(target=server.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
