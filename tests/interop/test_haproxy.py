"""What a real HAProxy writes before a connection, read by our reader: both versions, both families, TLVs, its check."""

import socket
import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from notqmail.smtp.proxy import Ends, Header, ProxyReader
from tests.support import haproxy
from tests.support.haproxy import Haproxy

pytestmark = pytest.mark.interop

TALK = b"EHLO client.example.net\r\n"
V1, V2 = "send-proxy", "send-proxy-v2"
TLVS = "send-proxy-v2 proxy-v2-options unique-id,crc32c"
CHECKED = "send-proxy-v2 check-send-proxy check inter 100ms"
ROADS = {"v1": V1, "v2": V2, "tlvs": TLVS, "checked": CHECKED}


class Target:
    """Takes connections and gives all that each one said."""

    def __init__(self) -> None:
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._sock.getsockname()[1]
        self.said: SimpleQueue[bytes] = SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        octets = b""
        with connection:
            connection.settimeout(20)
            try:
                while piece := connection.recv(4096):
                    octets += piece
            except OSError:  # a health check is cut off
                pass
        self.said.put(octets)

    def close(self) -> None:
        self._sock.close()


@pytest.fixture(scope="module")
def targets() -> Iterator[dict[str, Target]]:
    targets = {name: Target() for name in ROADS}
    yield targets
    for target in targets.values():
        target.close()


@pytest.fixture(scope="module")
def proxy(targets: dict[str, Target]) -> Iterator[Haproxy]:
    roads = {name: (options, targets[name].port) for name, options in ROADS.items()}
    with haproxy.running(roads) as proxy:
        yield proxy


def drained(target: Target) -> None:
    while not target.said.empty():
        target.said.get()


def headers(target: Target) -> Iterator[Header]:
    """The headers of the connections that come, as they come."""
    while True:
        header = ProxyReader().feed(target.said.get(timeout=20))
        assert isinstance(header, Header), header
        yield header


@pytest.mark.parametrize("road", ["v1", "v2", "tlvs"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_client_behind_it_is_known(
    targets: dict[str, Target], proxy: Haproxy, road: str, host: str
) -> None:
    with socket.create_connection((host, proxy.ports[road]), 10) as client:
        port = client.getsockname()[1]
        client.sendall(TALK)
        client.shutdown(socket.SHUT_WR)
        found = next(each for each in headers(targets[road]) if each.rest)

    assert found == Header(Ends(host, port, host, proxy.ports[road]), TALK)


def test_its_health_check_has_nobody_behind_it(targets: dict[str, Target], proxy: Haproxy) -> None:
    drained(targets["checked"])

    assert next(headers(targets["checked"])) == Header(None, b"")
