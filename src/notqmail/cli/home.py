"""What `notqmail init` makes: a directory with a configuration, accounts, keys and a place for data. It makes all of it
or nothing, and never overwrites."""

import os
import pwd
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notqmail.cli.certificate import self_signed
from notqmail.cli.sample import render
from notqmail.config import Seconds
from notqmail.mail.address import Address
from notqmail.mail.errors import ConfigError
from notqmail.system import accounts_edit, drop
from notqmail.system.passwords import Secrets

NAMES = ("notqmail.toml", "users", "app-passwords", "aliases", "tls", "data")
DEV_CONNECTIONS = 12000  # so that a benchmark on loopback meets no limit
SERVER_USER = "notqmail"
SELF_SIGNED = {"chain": "tls/cert.pem", "key": "tls/key.pem"}
CERTBOT = {
    "chain": "/etc/letsencrypt/live/{name}/fullchain.pem",
    "key": "/etc/letsencrypt/live/{name}/privkey.pem",
}

_USERS = """\
# Mailboxes: address, password hashes. Edit it, or use `notqmail user`; changes are live.
"""
_APP_PASSWORDS = """\
# App passwords: address, label, hashes, restrictions. Use `notqmail user app-password`; changes are live.
"""
_ALIASES = """\
# Aliases, `name@domain: address, address`; `@domain: address` takes what nothing else matches.
# Edit it, or use `notqmail alias`; changes are live.
"""


@dataclass(frozen=True, slots=True)
class Home:
    """What was asked for. Names are A-labels; `binds` are the address:port of each kind of listener, `web` those of
    metrics; `dev` is the loopback profile; `user` is whom the server becomes when root starts it, "" for nobody."""

    directory: Path
    hostname: str
    domains: Sequence[str]
    accounts: Mapping[Address, Secrets]
    binds: Mapping[str, Sequence[str]]
    web: Sequence[str]
    dev: bool
    user: str

    def make(self) -> None:
        """Write it; raises ConfigError when something of it is there already or cannot be written."""
        for name in NAMES:
            if (self.directory / name).exists() or (self.directory / name).is_symlink():
                raise ConfigError(
                    str(self.directory / name),
                    "it is there already, and init never overwrites",
                    "name another directory, or remove it first",
                )
        try:
            with ExitStack() as undo:
                self._make(undo)
                undo.pop_all()
        except OSError as error:
            raise ConfigError(
                str(error.filename or self.directory),
                error.strerror or "it cannot be written",
                "name a directory that can be written",
            ) from None

    def _make(self, undo: ExitStack) -> None:
        directory = self.directory
        if not directory.exists():
            directory.mkdir(parents=True)
            undo.callback(shutil.rmtree, directory)
            directory.chmod(0o755)  # sendmail of every user reads the configuration
        for path, text, mode in self._files():
            if not path.parent.exists():
                path.parent.mkdir(0o700)
                undo.callback(shutil.rmtree, path.parent)
                self._give(path.parent)
            undo.callback(path.unlink, missing_ok=True)
            with path.open("xb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(text)
            self._give(path)
        for address, secrets in self.accounts.items():
            accounts_edit.add_user(directory / "users", address, secrets.argon2, secrets.scram)
        data = directory / "data"
        data.mkdir()
        undo.callback(shutil.rmtree, data)
        data.chmod(0o711)  # others reach the injection socket and the drop directory in it
        drop.prepare(data)

    def _files(self) -> Iterator[tuple[Path, bytes, int]]:
        directory = self.directory
        yield directory / "users", _USERS.encode(), 0o600
        yield directory / "app-passwords", _APP_PASSWORDS.encode(), 0o600
        yield directory / "aliases", _ALIASES.encode(), 0o600
        if not self.has_certbot:
            certificate, key = self_signed([self.hostname, *self.domains])
            yield directory / "tls" / "cert.pem", certificate, 0o644
            yield directory / "tls" / "key.pem", key, 0o600
        yield directory / "notqmail.toml", render(self._values()).encode(), 0o644

    @property
    def has_certbot(self) -> bool:
        """True when certbot keeps a certificate for us."""
        return not self.dev and Path(CERTBOT["chain"].replace("{name}", self.hostname)).exists()

    def _values(self) -> Mapping[str, Any]:
        listen: list[dict[str, Any]] = [
            {"name": kind, "kind": kind, "bind": binds} for kind, binds in self.binds.items()
        ]
        values: dict[str, Any] = {
            "hostname": self.hostname,
            "listen": listen,
            "tls": {"certificate": [CERTBOT if self.has_certbot else SELF_SIGNED]},
            "domain": [{"name": name} for name in self.domains],
            "web": {"bind": self.web},
        }
        if self.dev:
            names = ("connections", "connections_per_ipv4", "connections_per_ipv6")
            listen[0]["limits"] = dict.fromkeys(names, DEV_CONNECTIONS)
            values["auth"] = {"ban": {"failures": 0, "delay": Seconds(0)}}
        if self.user:
            values["user"] = self.user
        if self.accounts:
            values["postmaster"] = str(next(iter(self.accounts)))
        return values

    def _give(self, path: Path) -> None:
        """Let whom the server becomes read what root made; the data is handed over at each start."""
        if self.user:
            entry = pwd.getpwnam(self.user)
            os.chown(path, entry.pw_uid, entry.pw_gid)


def server_user() -> str:
    """Say whom a server started by root becomes: "" when we are not root, or there is no such user yet."""
    if os.geteuid() != 0:
        return ""
    try:
        return pwd.getpwnam(SERVER_USER).pw_name
    except KeyError:
        return ""
