"""A port on loopback with a server's TLS behind it and nothing else: it greets who has shaken hands, and says
goodbye to the first word. For real clients that test TLS alone."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

from tests.support.tls import Server

GREETING = b"220 shaken\r\n"


@contextlib.contextmanager
def door(tls: Server[ssl.SSLObject], kind: str = "mx") -> Iterator[int]:
    """Give the port, implicit TLS, open while the block lasts."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listening:
        thread = threading.Thread(target=_serve, args=(listening, tls, kind), daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listening: socket.socket, tls: Server[ssl.SSLObject], kind: str) -> None:
    with contextlib.suppress(OSError):  # it has been shut down
        while True:
            taken, _ = listening.accept()
            threading.Thread(target=_session, args=(taken, tls, kind), daemon=True).start()


def _session(taken: socket.socket, tls: Server[ssl.SSLObject], kind: str) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection, greeted = tls.wrap(incoming, outgoing, kind), False
    taken.settimeout(30)
    with taken, contextlib.suppress(OSError):
        while True:
            try:
                if not greeted:
                    connection.do_handshake()
                    connection.write(GREETING)
                    greeted = True
                connection.read(1024)
                connection.unwrap()
            except ssl.SSLWantReadError:
                pass
            finally:
                taken.sendall(outgoing.read())
            octets = taken.recv(16384)
            if not octets:
                return
            incoming.write(octets)
