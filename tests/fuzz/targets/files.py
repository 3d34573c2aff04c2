"""Files that people write: users, aliases, the configuration."""

from pathlib import Path, PosixPath

from notqmail.config import Config, load
from notqmail.mail.errors import ConfigError
from notqmail.system.accounts_text import parse_aliases, parse_users
from tests.fuzz.given import Given
from tests.fuzz.targets.addresses import assert_address


def _assert_sentence(error: ConfigError, where: str) -> None:
    assert error.where.startswith(where)
    assert error.problem


def users(data: bytes) -> None:
    """A users file is read or refused with file, line and remedy."""
    text = Given(data).text()
    try:
        accounts = parse_users(text, "users")
    except ConfigError as error:
        _assert_sentence(error, "users:")
        return
    assert len(accounts) <= text.count("\n") + 1
    for key, account in accounts.items():
        assert key == (account.address.fold, account.address.domain)
        assert_address(account.address)
        for secret in (account.argon2, account.scram):
            assert not secret or secret in text


def aliases(data: bytes) -> None:
    """An aliases file is read or refused; every alias has a target, and every target is an address."""
    text = Given(data).text()
    try:
        found = parse_aliases(text, "aliases")
    except ConfigError as error:
        _assert_sentence(error, "aliases:")
        return
    assert len(found) <= text.count("\n") + 1
    for (local, domain), targets in found.items():
        assert domain.isascii()
        assert local == local.casefold()
        assert targets
        for target in targets:
            assert_address(target)


class _Given(PosixPath):
    """A file that is not on the disk."""

    octets = b""

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        return self.octets.decode(encoding or "utf-8")


def settings(data: bytes) -> None:
    """A configuration is read or refused with file and key path; what is read can be relied on."""
    path = _Given("/etc/notqmail/notqmail.toml")
    path.octets = data
    try:
        config = load(path)
    except ConfigError as error:
        _assert_sentence(error, str(path))
        return
    _assert_usable(config)


def _assert_usable(config: Config) -> None:
    assert "." in config.hostname
    assert len(set(config.domains)) == len(config.domain)
    assert Path(config.data_dir).is_absolute()
    for listen in config.listen:
        assert listen.limits.command_line >= 512
        assert listen.limits.command_timeout >= 0
    if config.postmaster_address is not None:
        assert_address(config.postmaster_address)
