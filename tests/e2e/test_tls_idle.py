"""What thousands of clients cost that have said hello over TLS and then nothing: memory, and nothing else."""

import socket
import ssl
from pathlib import Path

from tests.support.server import Server, serving

CLIENTS = 2000
MOST = 40 << 10  # octets for each


def test_an_idle_tls_connection_costs_less_than_forty_kilobytes() -> None:
    limits = {"listen.1.limits.connections": CLIENTS + 10}
    limits["listen.1.limits.connections_per_ipv4"] = CLIENTS + 10
    with serving(settings=limits) as server:
        context = ssl.create_default_context(cafile=str(server.certificate))
        context.check_hostname = False
        idle = [_hello(server, context)]  # what is needed once
        before = _memory(server)

        idle += [_hello(server, context) for _ in range(CLIENTS)]
        each = (_memory(server) - before) / CLIENTS

        assert each < MOST, f"{each / 1024:.1f} KB"
        idle[-1].sendall(b"NOOP\r\n")
        assert idle[-1].recv(100).startswith(b"250 ")
        for client in idle:
            client.close()


def _hello(server: Server, context: ssl.SSLContext) -> ssl.SSLSocket:
    sock = socket.create_connection(("127.0.0.1", server.submissions_port), timeout=30)
    client = context.wrap_socket(sock, server_hostname="mx.example.org")
    client.recv(1000)
    client.sendall(b"EHLO client.example\r\n")
    heard = b""
    while b"250 " not in heard:
        heard += client.recv(4096)
    return client


def _memory(server: Server) -> int:
    """The server's own memory, in octets: what it shares counts by its part (PSS)."""
    for line in Path(f"/proc/{server.pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no Pss: not Linux")
