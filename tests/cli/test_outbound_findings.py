"""What `check` finds on the way out."""

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest
import trustme

from notqmail.cli.outbound_findings import Problem, examine_outbound
from notqmail.config import parse
from tests.support.commands import init, notqmail

VERIFIED = {"smarthost": "relay.example:465", "tls": "verify"}


def _ours(address: IPv4Address | IPv6Address) -> bool:
    return str(address) == "192.0.2.1"


def found(directory: Path, **outbound: Any) -> list[Problem]:
    trustme.CA().cert_pem.write_to_path(str(directory / "ca.pem"))
    outbound.setdefault("ca_file", "ca.pem")
    raw = {"hostname": "mx.example.org", "outbound": outbound}
    return list(examine_outbound(parse(raw, directory / "notqmail.toml"), _ours))


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.touch(0o600)
    path.write_text("correct horse")
    return path


def test_nothing_is_wrong_with_a_careful_configuration(tmp_path: Path, password: Path) -> None:
    login = {"user": "alice", "password_file": "password"}
    tables = [{"name": "t", "domains": ["*"], **VERIFIED, "login": login}]

    assert found(tmp_path, **VERIFIED, login=login, bind_ipv4="192.0.2.1", to=tables) == []


def test_missing_password_file_is_an_error(tmp_path: Path) -> None:
    (problem,) = found(tmp_path, **VERIFIED, login={"user": "alice", "password_file": "none"})

    assert problem.fatal
    assert (problem.file, problem.key) == (str(tmp_path / "none"), "outbound.login.password_file")


def test_password_that_everybody_can_read_is_a_warning(tmp_path: Path, password: Path) -> None:
    password.chmod(0o644)
    table = {"name": "t", **VERIFIED, "login": {"user": "alice", "password_file": "password"}}

    (problem,) = found(tmp_path, to=[table])

    assert (problem.fatal, problem.key) == (False, "outbound.to[0].login.password_file")
    assert problem.remedy == "chmod 600 it"


def test_file_of_authorities_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (problem,) = found(tmp_path, ca_file="none.pem")

    assert (problem.fatal, problem.key) == (True, "outbound.ca_file")


def test_source_address_of_another_machine_is_a_warning(tmp_path: Path) -> None:
    problems = found(
        tmp_path, bind_ipv4="192.0.2.9", to=[{"name": "t", "bind_ipv6": "2001:db8::1"}]
    )

    assert [problem.key for problem in problems] == [
        "outbound.bind_ipv4",
        "outbound.to[0].bind_ipv6",
    ]


def test_table_that_is_never_reached_is_a_warning(tmp_path: Path) -> None:
    tables = [{"name": "all"}, {"name": "rest", "domains": ["example.net"]}]

    (problem,) = found(tmp_path, to=tables)

    assert (problem.key, problem.fatal) == ("outbound.to[1]", False)


def test_system_without_authorities_is_told_where_it_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "certs"
    empty.mkdir()
    monkeypatch.setenv("SSL_CERT_DIR", str(empty))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))

    assert found(tmp_path, ca_file="") == []
    (problem,) = found(tmp_path, ca_file="", tls="verify")
    assert problem.key == "outbound.ca_file"


def test_check_tells_it(tmp_path: Path) -> None:
    config = init(tmp_path / "x")
    text = config.read_text("utf-8").replace(
        '#smarthost = ""', 'smarthost = "relay.example:465"', 1
    )
    text = text.replace('#tls = "opportunistic"', 'tls = "verify"', 1)
    text = text.replace('#user = ""\n\n# file whose', 'user = "alice"\n\n# file whose', 1)
    config.write_text(text.replace('#password_file = ""', 'password_file = "none"', 1), "utf-8")

    ended = notqmail("check", "-c", config)

    assert ended.status == 1
    assert "outbound.login.password_file" in ended.out
