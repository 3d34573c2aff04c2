"""openssl s_client at our TLS: which certificate it is shown, and tickets it keeps in a file while ours are renewed."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from notqmail.system.server_tls import ServerTls
from tests.support.programs import program, run
from tests.support.tls import Authority, settings
from tests.support.tls_door import door

pytestmark = pytest.mark.interop

AUTHORITY = Authority()
NAME = "mx.example.org"


def write(home: Path, key_type: str, name: str = NAME) -> None:
    issued = AUTHORITY.issue([name], key_type)
    issued.write(home / f"{key_type}.pem", home / f"{key_type}.key")


@pytest.fixture
def tls(tmp_path: Path) -> ServerTls:
    write(tmp_path, "ECDSA")
    write(tmp_path, "RSA")
    (tmp_path / "ca.crt").write_bytes(AUTHORITY.pem)
    return ServerTls(settings(tmp_path, ("{name}.pem", "{name}.key")))


@pytest.fixture
def port(tls: ServerTls) -> Iterator[int]:
    with door(tls) as port:
        yield port


def s_client(home: Path, port: int, *arguments: object) -> str:
    """Shake hands, verified, wait for the greeting, and give what openssl says."""
    where = (
        "-connect",
        f"127.0.0.1:{port}",
        "-CAfile",
        home / "ca.crt",
        "-verify_return_error",
        "-ign_eof",
    )
    command = [program("openssl"), "s_client", *where, *arguments]
    ended = run([str(word) for word in command], given=b"bye\n", timeout=20)
    assert ended.status == 0, ended.output
    return ended.output


@pytest.mark.parametrize(
    ("sigalgs", "shown"), [("ECDSA+SHA256", "ECDSA"), ("RSA-PSS+SHA256", "RSA-PSS")]
)
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_client_is_shown_the_certificate_it_can_read(
    tmp_path: Path, port: int, version: str, sigalgs: str, shown: str
) -> None:
    said = s_client(tmp_path, port, version, "-servername", NAME, "-sigalgs", sigalgs)

    assert f"Peer signature type: {shown}" in said
    assert f"CN = {NAME}" in said or "Verify return code: 0 (ok)" in said


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_ticket_is_good_after_a_renewal(
    tmp_path: Path, tls: ServerTls, port: int, version: str
) -> None:
    ticket = tmp_path / "ticket"
    common = (version, "-servername", NAME)
    first = s_client(tmp_path, port, *common, "-sess_out", ticket)
    write(tmp_path, "ECDSA")
    assert tls.reload()

    second = s_client(tmp_path, port, *common, "-sess_in", ticket)

    assert re.search(r"^New, TLSv1\.[23]", first, re.MULTILINE)
    assert re.search(r"^Reused, TLSv1\.[23]", second, re.MULTILINE)


def test_a_renegotiation_is_refused(tmp_path: Path, port: int) -> None:
    command = [program("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2"]

    said = run([*command, "-CAfile", str(tmp_path / "ca.crt")], given=b"R\n", timeout=20).output

    assert "RENEGOTIATING" in said
    assert "no renegotiation" in said
