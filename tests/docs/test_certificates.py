"""docs/how-to/certificates.md, followed: what stands in it is loaded and run on directories like those of certbot and
acme.sh."""

import grp
import os
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

from notqmail.cli import COMMANDS
from notqmail.config import Config, parse
from notqmail.system.server_tls import ServerTls
from tests.support.page import block
from tests.support.tls import Authority, Issued, handshake, settings

PAGE = "how-to/certificates.md"
NAME = "mx.example.org"
AUTHORITY = Authority()


def configured(snippet: str, home: Path) -> Config:
    """The configuration of the page, with its directories below `home`."""
    text = snippet.replace('"/', f'"{home}/')
    return parse({"hostname": NAME, **tomllib.loads(text)}, home / "notqmail.toml")


def shown(tls: ServerTls, name: str = NAME) -> bytes:
    return handshake(tls, AUTHORITY.client(), name).shown


def certbot(home: Path, number: int, name: str = NAME) -> Issued:
    """Do as certbot does when it gets a certificate: the next number in archive/, and links in live/ to it."""
    letsencrypt = home / "etc" / "letsencrypt"
    archive, live = letsencrypt / "archive" / name, letsencrypt / "live" / name
    for directory in (archive, live):
        directory.parent.mkdir(0o700, parents=True, exist_ok=True)
        directory.mkdir(exist_ok=True)
    issued = AUTHORITY.issue([name])
    issued.write(archive / f"fullchain{number}.pem", archive / f"privkey{number}.pem")
    (archive / f"privkey{number}.pem").chmod(0o600)
    for file in ("privkey", "fullchain"):  # one after the other
        link = live / f"{file}.pem"
        link.unlink(missing_ok=True)
        link.symlink_to(f"../../archive/{name}/{file}{number}.pem")
    (letsencrypt / "live" / "README").write_text("This directory contains your keys.")
    return issued


def test_certbot_is_used_as_it_is_and_a_renewal_is_noticed(tmp_path: Path) -> None:
    first, other = certbot(tmp_path, 1), certbot(tmp_path, 1, "imap.example.net")
    tls = ServerTls(configured(block(PAGE, "toml", "letsencrypt"), tmp_path))
    assert (shown(tls), shown(tls, "imap.example.net")) == (first.der, other.der)

    second = certbot(tmp_path, 2)
    tls.reload()

    assert (shown(tls), shown(tls, "imap.example.net")) == (second.der, other.der)


def test_between_the_two_links_of_a_renewal_nothing_changes(tmp_path: Path) -> None:
    first, live = certbot(tmp_path, 1), tmp_path / "etc" / "letsencrypt" / "live" / NAME
    tls = ServerTls(configured(block(PAGE, "toml", "letsencrypt"), tmp_path))
    second = certbot(tmp_path, 2)
    (live / "fullchain.pem").unlink()
    tls.reload()
    assert shown(tls) == first.der
    (live / "fullchain.pem").symlink_to(f"../../archive/{NAME}/fullchain1.pem")
    tls.reload()
    assert shown(tls) == first.der

    (live / "fullchain.pem").unlink()
    (live / "fullchain.pem").symlink_to(f"../../archive/{NAME}/fullchain2.pem")
    tls.reload()

    assert shown(tls) == second.der


def test_the_hook_lets_the_group_of_the_server_read(tmp_path: Path) -> None:
    certbot(tmp_path, 1)
    certbot(tmp_path, 2)
    ours = grp.getgrgid(os.getgid()).gr_name
    hook = block(PAGE, "sh", "#!/bin/sh").replace("/etc", f"{tmp_path}/etc")

    subprocess.run(
        ["/bin/sh", "-c", hook.replace("chgrp -R notqmail", f"chgrp -R {ours}")], check=True
    )

    letsencrypt = tmp_path / "etc" / "letsencrypt"
    for path in letsencrypt.rglob("*"):
        mode, needed = path.stat().st_mode, 0o050 if path.is_dir() else 0o040
        assert path.stat().st_gid == os.getgid()
        assert stat.S_IMODE(mode) & needed == needed
    assert stat.S_IMODE((letsencrypt / "live").stat().st_mode) == 0o750
    assert not any(path.stat().st_mode & 0o007 for path in letsencrypt.rglob("privkey*"))


def test_acme_sh_is_used_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / "var" / "lib" / "acme" / ".acme.sh"
    ecc, rsa = home / f"{NAME}_ecc", home / NAME
    both = {
        "aECDSA": AUTHORITY.issue([NAME]).write(ecc / "fullchain.cer", ecc / f"{NAME}.key"),
        "aRSA": AUTHORITY.issue([NAME], "RSA").write(rsa / "fullchain.cer", rsa / f"{NAME}.key"),
    }
    (home / "ca" / "acme-v02.api.letsencrypt.org").mkdir(parents=True)
    (home / "account.conf").write_text("UPGRADE_HASH=''\n")

    tls = ServerTls(configured(block(PAGE, "toml", ".acme.sh"), tmp_path))

    for ciphers, issued in both.items():
        client = AUTHORITY.client(ciphers, "TLSv1_2")
        assert handshake(tls, client, NAME).shown == issued.der


@pytest.mark.parametrize(
    ("holding", "chain", "key"),
    [
        ("--install-cert", f"tls/{NAME}.pem", f"tls/{NAME}.key"),
        ("PEM files", "tls/cert.pem", "tls/key.pem"),
    ],
)
def test_files_beside_the_configuration_are_used(
    tmp_path: Path, holding: str, chain: str, key: str
) -> None:
    issued = AUTHORITY.issue([NAME]).write(tmp_path / chain, tmp_path / key)

    tls = ServerTls(configured(block(PAGE, "toml", holding), tmp_path))

    assert shown(tls) == issued.der


def test_where_acme_sh_copies_to_is_where_the_configuration_looks() -> None:
    copying = block(PAGE, "sh", "--install-cert")
    config = parse(
        {"hostname": NAME, **tomllib.loads(block(PAGE, "toml", "--install-cert"))},
        Path("/etc/notqmail/notqmail.toml"),
    )

    (certificate,) = config.tls.certificate
    assert f"--fullchain-file {certificate.chain.replace('{name}', NAME)} " in copying
    assert f"--key-file {certificate.key.replace('{name}', NAME)} " in copying


def test_its_command_is_a_command() -> None:
    line = block(PAGE, "sh", "runuser").splitlines()[0]

    assert line.partition(" -- ")[2] == "notqmail check"
    assert "check" in COMMANDS


def test_the_interval_it_speaks_of_is_the_default(tmp_path: Path) -> None:
    assert settings(tmp_path).tls.reload_interval == 60
