import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from notqmail import config
from notqmail.mail.address import Address
from notqmail.mail.errors import ConfigError
from notqmail.system import scram_text
from notqmail.system.accounts import AT_ONCE, TextDirectory, in_thread
from notqmail.system.app_passwords_text import AppPassword, hash_of
from tests.support.clock import FakeClock

TOML = 'hostname = "mx.example.org"\n[[domain]]\nname = "example.org"\n'


class Site:
    """A configuration on disk, and the directory of it."""

    def __init__(self, home: Path) -> None:
        self.home, self.clock = home, FakeClock()
        self.jobs: list[Callable[[], None]] = []
        self.write("notqmail.toml", TOML)
        self.write("users", "alice@example.org\n")
        self.write("aliases", "sales@example.org: alice@example.org\n")
        self.directory = self.open()

    def open(self) -> TextDirectory:
        settings = config.load(self.home / "notqmail.toml")
        return TextDirectory(settings, self.clock, start=self.jobs.append)

    def write(self, name: str, text: str) -> None:
        new = self.home / "new"
        new.write_text(text)
        new.replace(self.home / name)

    def has(self, local: str) -> bool:
        return self.directory.mailbox(local, "example.org")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_domains_mailboxes_and_aliases_are_found(site: Site) -> None:
    directory = site.directory

    assert directory.is_local("example.org")
    assert directory.mailbox("alice", "example.org")
    assert directory.alias("sales", "example.org") == (Address("alice", "example.org"),)


def test_senders_are_found_by_the_name_of_their_account(site: Site) -> None:
    assert site.directory.senders("alice@example.org") == ()

    site.write(
        "senders", "Alice@example.org: office@example.org, @example.net\nroot: x@example.net\n"
    )
    site.clock.advance(1)

    both = {("office", "example.org"), ("", "example.net")}
    assert site.directory.senders("alice@example.org") == both
    assert site.directory.senders("ALICE@Example.org") == both
    assert site.directory.senders("root") == {("x", "example.net")}
    assert site.directory.senders("Root") == ()


def test_a_wrong_line_of_senders_changes_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.write("senders", "root: x@example.net\n")
    site.clock.advance(1)
    assert site.directory.senders("root")
    site.write("senders", "root: x@example.net\nalice office\n")
    site.clock.advance(1)

    assert site.directory.senders("root")
    assert f"{site.home}/senders:2" in caplog.text


def test_senders_that_are_taken_away_are_nobodys(site: Site) -> None:
    site.write("senders", "root: x@example.net\n")
    site.clock.advance(1)
    assert site.directory.senders("root")
    (site.home / "senders").unlink()
    site.clock.advance(1)

    assert site.directory.senders("root") == ()


def test_what_is_not_there_is_not_found(site: Site) -> None:
    directory = site.directory

    assert not directory.is_local("example.net")
    assert not directory.mailbox("bob", "example.org")
    assert directory.alias("", "example.org") == ()
    assert directory.account("bob", "example.org") is None


def test_account_has_its_secrets(site: Site) -> None:
    site.write("users", "alice@example.org $argon2id$x -")
    site.clock.advance(1)

    account = site.directory.account("alice", "example.org")

    assert account is not None
    assert account.argon2 == "$argon2id$x"


def test_app_passwords_are_live_and_may_be_none(site: Site) -> None:
    kept = scram_text.make("secret", b"salt", 4096)
    made = AppPassword(Address("alice", "example.org"), "phone", hash_of("secret", b"salt"), kept)
    assert site.directory.app_passwords("alice", "example.org") == ()

    site.write("app-passwords", f"{made}\n")
    site.clock.advance(1)
    assert site.directory.app_passwords("alice", "example.org") == (made,)

    (site.home / "app-passwords").unlink()
    site.clock.advance(1)
    assert site.directory.app_passwords("alice", "example.org") == ()


def test_change_is_live_without_a_restart(site: Site) -> None:
    site.write("users", "alice@example.org\nbob@example.org\n")
    site.write("aliases", "@example.org: bob@example.org\n")
    site.write("notqmail.toml", TOML + '[[domain]]\nname = "example.net"\n')
    site.clock.advance(1)

    assert site.has("bob")
    assert site.directory.alias("", "example.org") == (Address("bob", "example.org"),)
    assert site.directory.is_local("example.net")


def test_files_are_not_looked_at_for_every_lookup(site: Site) -> None:
    site.write("users", "bob@example.org\n")

    site.clock.advance(0.1)
    before = site.has("bob")
    site.clock.advance(0.2)

    assert not before
    assert site.has("bob")


def test_refresh_looks_at_once(site: Site) -> None:
    site.write("users", "bob@example.org\n")

    site.directory.refresh()

    assert site.has("bob")


def test_wrong_file_keeps_what_was_valid_and_warns_once(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    site.write("users", "bob@example.org\nnonsense\n")

    for _ in range(3):
        site.clock.advance(1)
        assert site.has("alice")
        assert not site.has("bob")

    assert len(caplog.records) == 1
    assert f"{site.home}/users:2" in caplog.text
    assert "remedy=" in caplog.text


def test_wrong_file_made_right_is_taken(site: Site) -> None:
    for text in ("nonsense\n", "bob@example.org\n"):
        site.write("users", text)
        site.clock.advance(1)
        site.has("bob")

    assert site.has("bob")


def test_file_that_disappears_keeps_what_was_valid(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    (site.home / "users").unlink()
    site.clock.advance(1)

    assert site.has("alice")
    assert "no such file" in caplog.text


def test_wrong_configuration_keeps_the_domains(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.write("notqmail.toml", "hostnam = 1\n")
    site.clock.advance(1)

    assert site.directory.is_local("example.org")
    assert "hostnam" in caplog.text


def test_large_file_is_parsed_elsewhere_and_taken_when_it_is_ready(site: Site) -> None:
    comment = "#" * AT_ONCE
    site.write("users", f"{comment}\nbob@example.org\n")
    site.clock.advance(1)

    before = site.has("bob"), site.has("alice")
    site.clock.advance(1)
    site.has("bob")
    (job,) = site.jobs  # once, however often it was asked for
    job()

    assert before == (False, True)
    assert site.has("bob")


def test_thread_parses_large_files(tmp_path: Path) -> None:
    done: list[int] = []

    in_thread(lambda: done.append(1)).join(10)

    assert done == [1]


@pytest.mark.parametrize("name", ["users", "aliases"])
def test_missing_file_is_told_at_the_start(site: Site, name: str) -> None:
    (site.home / name).unlink()

    with pytest.raises(ConfigError) as caught:
        site.open()

    assert caught.value.where == str(site.home / name)
    assert "create it" in caught.value.remedy


@pytest.mark.parametrize(
    ("octets", "problem"), [(b"\xff@example.org", "not UTF-8"), (None, "Is a directory")]
)
def test_file_that_cannot_be_read_is_told_at_the_start(
    site: Site, octets: bytes | None, problem: str
) -> None:
    users = site.home / "users"
    users.unlink()
    if octets is None:
        users.mkdir()
    else:
        users.write_bytes(octets)

    with pytest.raises(ConfigError, match=problem):
        site.open()


def test_byte_order_mark_is_no_part_of_an_address(site: Site) -> None:
    (site.home / "users").write_bytes("\ufeffbob@example.org".encode())
    site.clock.advance(1)

    assert site.has("bob")


def test_configuration_without_a_file_has_its_own_domains(site: Site) -> None:
    settings = config.parse(
        {"hostname": "mx.example.org", "domain": [{"name": "example.com"}]}, site.home / "x.toml"
    )

    assert TextDirectory(settings, site.clock).is_local("example.com")


async def test_lookup_may_happen_on_the_event_loop(site: Site) -> None:
    site.write("users", "bob@example.org\n")
    site.clock.advance(1)

    assert site.has("bob")


def test_permission_alone_is_a_change(site: Site) -> None:
    """A file that could not be read and now can has the same content and time."""
    os.utime(site.home / "users", ns=(0, 0))
    site.directory.refresh()
    before = site.directory._users._stamp
    (site.home / "users").chmod(0o640)

    site.directory.refresh()

    assert site.directory._users._stamp != before
