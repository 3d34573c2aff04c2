"""check, of certificates: what is wrong with one, or would be for who connects; each with its remedy."""

import json
import os
import pwd
import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import init, notqmail
from tests.support.places import open_directory
from tests.support.tls import DAY, Authority

AUTHORITY = Authority()
CERTBOT = '{ chain = "live/{name}/fullchain.pem", key = "live/{name}/privkey.pem" }'
PLAIN = '{ chain = "cert.pem", key = "key.pem" }'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return init(tmp_path / "x")


def write(config: Path, name: str = "mx.example.org", directory: str = "", **keys: Any) -> None:
    live = config.parent / "live" / (directory or name)
    AUTHORITY.issue([name], **keys).write(live / "fullchain.pem", live / "privkey.pem")


def findings(config: Path, certificates: str = CERTBOT, more: str = "") -> list[dict[str, str]]:
    """Put the certificates in the configuration, and check."""
    text = config.read_text()
    head, _, _ = text.partition("[tls]")
    assert "\n[[tls" not in head
    tls = f"[tls]\n{more}\ncertificate = [{certificates}]\n"
    rest = text[text.index("[auth]") :]
    config.write_text(head + tls + rest)
    ended = notqmail("check", "--json", "-c", config)
    found = [json.loads(line) for line in ended.out.splitlines()]
    assert ended.status == int(any(each["level"] == "error" for each in found))
    assert all(each["remedy"] for each in found)
    return found


def only(config: Path, certificates: str = CERTBOT, more: str = "") -> dict[str, str]:
    (finding,) = findings(config, certificates, more)
    return finding


def test_a_good_certificate_is_fine(config: Path) -> None:
    write(config)

    assert findings(config) == []


def test_an_expired_certificate_is_a_warning(config: Path) -> None:
    write(config, lasts=-DAY)

    finding = only(config)

    assert finding["level"] == "warning"
    assert finding["file"] == f"{config.parent}/live/mx.example.org/fullchain.pem"
    assert finding["key"] == "mx.example.org"
    assert finding["problem"].startswith("it expired on 20")
    assert "certbot renew" in finding["remedy"]


@pytest.mark.parametrize(
    ("lasts", "left"), [(13.5 * DAY, "(days left: 13)"), (timedelta(hours=1), "(days left: 0)")]
)
def test_a_certificate_that_expires_soon_is_a_warning(
    config: Path, lasts: timedelta, left: str
) -> None:
    write(config, lasts=lasts)

    assert only(config)["problem"].endswith(left)


def test_a_certificate_that_is_not_yet_valid_is_a_warning(config: Path) -> None:
    write(config, begins=DAY)

    assert "not yet" in only(config)["problem"]


def test_an_old_certificate_beside_a_new_one_is_fine(config: Path) -> None:
    write(config, lasts=-DAY)
    write(config, directory="mx.example.org-0001")

    assert findings(config) == []


def test_a_short_key_is_a_warning_or_an_error(config: Path) -> None:
    """How long a key must be for OpenSSL to take it, the distribution has decided."""
    write(config, key_type="RSA-1024")

    problem = only(config)["problem"]

    assert "is too short" in problem or "its RSA key has 1024 bits, less than 2048" in problem


def test_a_hostname_without_a_certificate_is_a_warning(config: Path) -> None:
    write(config, "other.example")

    finding = only(config)

    assert (finding["level"], finding["key"]) == ("warning", "hostname")
    assert (
        "no certificate is for mx.example.org (listen: mx, submissions, submission)"
        in finding["problem"]
    )


def test_a_wildcard_is_for_the_hostname(config: Path) -> None:
    write(config, "*.example.org")

    assert findings(config) == []


def test_nobody_needs_a_certificate_for_the_hostname_where_nobody_listens(config: Path) -> None:
    write(config, "other.example")
    text = config.read_text().replace("#tls = true", "tls = false", 1)
    assert "\ntls = false" in text
    mx, *others = re.split(r"(?m)^(?=\[\[listen\]\]$)", text)[1:]
    *_, last = others
    rest = last[last.index("\n[tls]") :]
    config.write_text(text[: text.index("[[listen]]")] + mx + rest)

    assert findings(config) == []


def test_a_default_without_a_certificate_is_a_warning(config: Path) -> None:
    write(config)

    assert only(config, more='default = "other.example"')["key"] == "tls.default"


@pytest.mark.parametrize("broken", ["cert.pem", "key.pem"])
def test_a_named_file_that_is_missing_is_an_error(config: Path, broken: str) -> None:
    AUTHORITY.issue(["mx.example.org"]).write(
        config.with_name("cert.pem"), config.with_name("key.pem")
    )
    config.with_name(broken).unlink()

    finding = only(config, PLAIN)

    assert (finding["level"], finding["file"]) == ("error", str(config))
    assert finding["key"].startswith("tls.certificate[0].")
    assert finding["problem"] == f"there is no {config.with_name(broken)}"


def test_a_key_of_another_certificate_is_an_error(config: Path) -> None:
    AUTHORITY.issue(["mx.example.org"]).write(
        config.with_name("cert.pem"), config.with_name("other.pem")
    )
    AUTHORITY.issue(["mx.example.org"]).write(
        config.with_name("other.pem"), config.with_name("key.pem")
    )

    finding = only(config, PLAIN)

    assert finding["level"] == "error"
    assert "key.pem does not belong to" in finding["problem"]


def test_one_broken_certificate_of_a_pattern_is_a_warning(config: Path) -> None:
    write(config)
    write(config, "other.example")
    (config.parent / "live" / "other.example" / "privkey.pem").unlink()

    finding = only(config)

    assert finding["level"] == "warning"
    assert "live/other.example/privkey.pem" in finding["problem"]


def test_a_pattern_that_fits_nothing_is_an_error_only_without_another(config: Path) -> None:
    config.with_name("live").mkdir()
    assert only(config)["level"] == "error"

    AUTHORITY.issue(["mx.example.org"]).write(
        config.with_name("cert.pem"), config.with_name("key.pem")
    )
    finding = only(config, f"{PLAIN}, {CERTBOT}")

    assert (finding["level"], finding["key"]) == ("warning", "tls.certificate[1].chain")
    assert finding["problem"] == f"nothing fits {config.parent}/live/{{name}}/fullchain.pem"


def test_an_authority_for_clients_that_cannot_be_read_is_an_error(config: Path) -> None:
    write(config)

    finding = only(config, more='client_ca = "ca.pem"')

    assert (finding["level"], finding["key"]) == ("error", "tls.client_ca")


@pytest.mark.root
def test_a_key_that_only_root_can_read_is_a_warning() -> None:
    if os.geteuid() != 0:
        pytest.skip("only for root")
    with open_directory() as directory:
        config = init(directory / "x")
        write(config)
        live = config.parent / "live"
        for path in (live, live / "mx.example.org"):
            path.chmod(0o755)
        (live / "mx.example.org" / "privkey.pem").chmod(0o600)
        config.write_text(config.read_text().replace('#user = ""', 'user = "nobody"', 1))
        for name in ("users", "aliases", "app-passwords", "data"):
            shutil.chown(config.with_name(name), "nobody")

        finding = only(config)

        assert finding["file"] == str(live / "mx.example.org" / "privkey.pem")
        assert finding["problem"].startswith("nobody cannot read it")
        shutil.chown(finding["file"], pwd.getpwnam("nobody").pw_uid)
        assert findings(config) == []
