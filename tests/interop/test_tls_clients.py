"""TLS as others see it: openssl s_client, testssl.sh, and clients that say nonsense."""

import contextlib
import json
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import Ran, program, run
from tests.support.server import DOMAIN, Server, serving

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(settings={"tls.handshake_timeout": "3s"}) as running:
        yield running


def _s_client(server: Server, *arguments: str, port: int | None = None) -> Ran:
    at = f"127.0.0.1:{port or server.submissions_port}"
    return run(
        [program("openssl"), "s_client", "-connect", at, "-quiet", "-verify_quiet", *arguments],
        given=b"EHLO client.example\r\nQUIT\r\n",
    )


def test_s_client_gets_the_banner_over_tls(server: Server) -> None:
    talk = _s_client(server, "-servername", "mx.example.org")

    assert "220 mx.example.org ESMTP" in talk.output
    assert "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" in talk.output
    assert "221 2.0.0" in talk.output


@pytest.mark.parametrize("door", ["mx", "submission"])
def test_s_client_starts_tls(server: Server, door: str) -> None:
    port = server.port if door == "mx" else server.submission_port
    talk = _s_client(server, "-starttls", "smtp", "-CAfile", str(server.certificate), port=port)

    assert "250 DSN" in talk.output or "250-DSN" in talk.output
    assert "221 2.0.0" in talk.output
    assert ("AUTH" in talk.output) is (door == "submission")


@pytest.mark.parametrize(
    ("version", "works"), [("-tls1_3", True), ("-tls1_2", True), ("-tls1_1", False)]
)
def test_only_tls_1_2_and_later_is_spoken(server: Server, version: str, works: bool) -> None:
    talk = _s_client(server, version, "-cipher", "DEFAULT@SECLEVEL=0")

    assert ("220 mx.example.org" in talk.output) is works, talk.output


def test_an_unknown_name_gets_the_default_certificate(server: Server) -> None:
    talk = _s_client(server, "-servername", "unknown.example")

    assert "220 mx.example.org" in talk.output


@pytest.mark.parametrize("door", ["mx", "submissions"])
def test_testssl_has_nothing_above_low(server: Server, tmp_path: Path, door: str) -> None:
    starttls = ["--starttls", "smtp"] if door == "mx" else []
    port = server.port if door == "mx" else server.submissions_port
    report = tmp_path / "report.json"

    ended = run(
        [
            *(
                program("testssl"),
                "--quiet",
                "--color",
                "0",
                "--warnings",
                "off",
                "--nodns",
                "none",
            ),
            *("--protocols", "--server-defaults", "--server-preference", "--vulnerable", "--std"),
            *("--jsonfile", str(report), *starttls, f"127.0.0.1:{port}"),
        ],
        timeout=300,
    )

    assert report.exists(), ended.output
    findings = json.loads(report.read_text())
    # the certificate of the development profile is self-signed; testssl says so, as it should
    bad = [
        f"{each['id']}: {each['finding']}"
        for each in findings
        if each["severity"] in ("MEDIUM", "HIGH", "CRITICAL") and not _about_trust(each["id"])
    ]
    assert len(findings) > 40, ended.output
    assert bad == []


def _about_trust(id: str) -> bool:
    return re.match(r"cert_(trust|chain_of_trust|subjectAltName|expiration|caIssuers|ocsp|crl)|"
                    r"cert_.*(revocation|OCSP|CRL|CAA|notAfter|validityPeriod)|DNS_CAA|scanTime|scanProblem",
                    id, re.IGNORECASE) is not None  # fmt: skip


# bad input


def _dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def _to_the_end(sock: socket.socket) -> bytes:
    heard = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            heard += piece
    return heard


@pytest.mark.parametrize(
    "octets",
    [b"EHLO client.example\r\n", b"GET / HTTP/1.0\r\n\r\n", b"\0" * 64, b"\x16\x03\x01\xff\xff"],
)
def test_what_is_no_client_hello_is_cut_off_and_the_next_is_served(
    server: Server, octets: bytes
) -> None:
    with _dial(server.submissions_port) as sock:
        sock.sendall(octets)
        heard = _to_the_end(sock)  # at the latest when the handshake has taken too long

    assert b"220" not in heard
    assert "220 mx.example.org" in _s_client(server).output
    server.wait_log("TLS handshake")


def test_silence_on_the_tls_port_is_cut_off(server: Server) -> None:
    with _dial(server.submissions_port) as sock:
        assert _to_the_end(sock) == b""


def test_tls_on_the_port_for_clear_text_is_an_error_and_no_harm(server: Server) -> None:
    context = ssl.create_default_context()
    with _dial(server.port) as sock, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(sock, server_hostname=DOMAIN)

    assert "220 mx.example.org" in _s_client(server).output


def test_commands_put_behind_starttls_are_not_taken(server: Server) -> None:
    with _dial(server.port) as sock, sock.makefile("rb") as lines:
        lines.readline()
        sock.sendall(b"EHLO client.example\r\n")
        while not lines.readline().startswith(b"250 "):
            pass
        sock.sendall(b"STARTTLS\r\nMAIL FROM:<evil@example.net>\r\n")
        assert lines.readline().startswith(b"220 2.0.0")
        context = ssl.create_default_context(cafile=str(server.certificate))
        with context.wrap_socket(sock, server_hostname="mx.example.org") as tls:
            tls.sendall(b"EHLO client.example\r\nRCPT TO:<alice@example.org>\r\nQUIT\r\n")
            heard = _to_the_end(tls)

    assert b"503 5.5.1" in heard
    assert b"250 2.1.0" not in heard
