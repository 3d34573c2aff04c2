"""A renewed certificate, and other changes of the doors, in a running server."""

import socket
import ssl

from notqmail.cli.certificate import self_signed
from tests.support.server import Server, serving


def _connect(server: Server) -> ssl.SSLSocket:
    """A session on the port with implicit TLS, behind its banner."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    sock = socket.create_connection(("127.0.0.1", server.submissions_port), timeout=20)
    client = context.wrap_socket(sock, server_hostname="mx.example.org")
    assert client.recv(1000).startswith(b"220 ")
    return client


def _say(client: ssl.SSLSocket, line: bytes) -> bytes:
    client.sendall(line)
    return client.recv(4000)


def test_a_renewed_certificate_is_shown_and_no_session_ends_for_it() -> None:
    with serving() as server, _connect(server) as before:
        chain, key = self_signed(["mx.example.org"])
        (server.directory / "tls" / "cert.pem").write_bytes(chain)
        (server.directory / "tls" / "key.pem").write_bytes(key)

        assert server.command("reload").status == 0
        with _connect(server) as after:
            assert after.getpeercert(True) != before.getpeercert(True)
            assert ssl.DER_cert_to_PEM_cert(after.getpeercert(True) or b"") == chain.decode()
            assert _say(before, b"NOOP\r\n").startswith(b"250 ")


def test_a_broken_certificate_leaves_the_old_one_and_is_told() -> None:
    with serving() as server, _connect(server) as before:
        (server.directory / "tls" / "cert.pem").write_text("half of a file")

        assert server.command("reload").status == 0
        with _connect(server) as after:
            assert after.getpeercert(True) == before.getpeercert(True)
            server.wait_log("certificate cannot be used, one from before stays")


def test_mechanisms_are_live_and_sources_need_a_restart() -> None:
    with serving() as server, _connect(server) as before:
        server.configure({"auth.mechanisms": ["PLAIN"], "auth.sources": ["users", "pam"]})

        reloaded = server.command("reload")
        with _connect(server) as after:
            assert "a change of auth.sources needs a restart" in reloaded.output
            assert b"AUTH SCRAM-SHA-256-PLUS" in _say(before, b"EHLO client.example\r\n")
            assert b"AUTH PLAIN\r\n" in _say(after, b"EHLO client.example\r\n")
