"""user, alias, domain: they edit the files an admin edits, and say what they did."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from notqmail.config import load
from notqmail.system import accounts_edit, passwords
from tests.support.commands import Ended, init, notqmail


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return init(tmp_path / "x")


def users(config: Path) -> list[str]:
    return [str(each.address) for each in accounts_edit.list_users(config.with_name("users"))]


def user(config: Path, *arguments: object, given: bytes = b"") -> Ended:
    return notqmail("user", *arguments, "-c", config, given=given)


def test_a_mailbox_is_added_with_a_made_up_password(config: Path) -> None:
    ended = user(config, "add", "bob@example.org")

    assert ended.status == 0
    password = ended.out.splitlines()[1].split()[3]
    account = accounts_edit.list_users(config.with_name("users"))[1]
    assert str(account.address) == "bob@example.org"
    assert passwords.verify(password, account.argon2)
    assert password not in config.with_name("users").read_text()


def test_comments_of_the_admin_stay(config: Path) -> None:
    file = config.with_name("users")
    file.write_text(f"# my friends\n{file.read_text()}# the end\n")

    user(config, "add", "bob@example.org")
    user(config, "remove", "alice@example.org")

    assert file.read_text().startswith("# my friends\n")
    assert "# the end\n" in file.read_text()
    assert users(config) == ["bob@example.org"]


def test_a_password_is_changed(config: Path) -> None:
    ended = user(config, "passwd", "alice@example.org", "--password-file", "-", given=b"new one\n")

    assert ended.out == "changed the password of alice@example.org\n"
    (account,) = accounts_edit.list_users(config.with_name("users"))
    assert passwords.verify("new one", account.argon2)


def test_a_password_is_asked_for_on_a_terminal_and_not_shown(config: Path) -> None:
    terminal, inside = pty.openpty()
    ended = subprocess.Popen(
        [
            *(sys.executable, "-c", "from notqmail.cli import main; main()"),
            *("user", "passwd", "alice@example.org", "-c", str(config)),
        ],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    shown = b""
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        for prompt in (b"Password", b"The same again"):
            while prompt not in shown:
                shown += screen.read(1000)
            screen.write(b"hidden\n")
        while b"changed" not in shown:
            shown += screen.read(1000)
        assert ended.wait(20) == 0

    assert b"hidden" not in shown
    (account,) = accounts_edit.list_users(config.with_name("users"))
    assert passwords.verify("hidden", account.argon2)


def test_removing_a_mailbox_says_where_its_mail_stays(config: Path) -> None:
    maildir = config.parent / "data" / "mail" / "example.org" / "alice" / "Maildir"
    maildir.mkdir(parents=True)
    notqmail("alias", "add", "sales@example.org", "ALICE@example.org", "-c", config)

    ended = user(config, "remove", "alice@example.org")

    assert ended.status == 0
    assert f"its mail stays in {maildir}" in ended.out
    assert "the alias sales@example.org still leads to it" in ended.out
    assert maildir.exists()


def test_mailboxes_are_listed_without_their_secrets(config: Path) -> None:
    with config.with_name("users").open("a") as file:
        file.write("bob@example.org\n")

    assert user(config, "list").out == (
        "ADDRESS            PASSWORD\nalice@example.org  set\nbob@example.org    none\n"
    )
    records = [json.loads(line) for line in user(config, "list", "--json").out.splitlines()]
    assert records == [
        {"address": "alice@example.org", "password": True},
        {"address": "bob@example.org", "password": False},
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["add", "alice@example.org"], 2, "is there already; notqmail user passwd"),
        (["add", "bob@example.com"], 1, "first: notqmail domain add example.com"),
        (["add", "bob"], 2, "the address has no domain"),
        (["add", "postmaster"], 2, "has no domain: write local@domain"),
        (["add", "a\r\nb@example.org"], 2, "not a dot-string"),
        (["remove", "bob@example.org"], 2, "there is no mailbox bob@example.org"),
        (["passwd", "bob@example.org"], 2, "there is no mailbox bob@example.org"),
        (["add", "bob@example.org", "--password-file", "/none"], 2, "name a readable file"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(
    config: Path, arguments: list[str], status: int, sentence: str
) -> None:
    before = config.with_name("users").read_text()

    ended = user(config, *arguments)

    assert ended.status == status
    assert sentence in ended.err
    assert ended.err.count("\n") == 1
    assert config.with_name("users").read_text() == before


def test_a_broken_users_file_is_named_with_its_line(config: Path) -> None:
    config.with_name("users").write_text("# fine\nnot a user at all\n")

    ended = user(config, "list")

    assert ended.status == 2
    assert f"{config.with_name('users')}:2: not a user" in ended.err


def alias(config: Path, *arguments: object) -> Ended:
    return notqmail("alias", *arguments, "-c", config)


def test_aliases_come_and_go(config: Path) -> None:
    alias(config, "add", "sales@example.org", "alice@example.org", "bob@exämple.net")
    alias(config, "add", "@example.org", "alice@example.org")

    assert alias(config, "list").out == (
        "ALIAS              LEADS TO\n"
        "sales@example.org  alice@example.org, bob@exämple.net\n"
        "@example.org       alice@example.org\n"
    )

    assert alias(config, "remove", "sales@example.org").out == "removed sales@example.org\n"
    assert json.loads(alias(config, "list", "--json").out) == {
        "alias": "@example.org",
        "targets": ["alice@example.org"],
    }


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["add", "x@example.com", "alice@example.org"], 1, "notqmail domain add example.com"),
        (["add", "x@example.org", "alice"], 2, "has no domain"),
        (["add", "x@example.org"], 2, "Missing argument"),
        (["add", "@", "alice@example.org"], 2, "catch-all is @DOMAIN"),
        (["add", "no alias", "alice@example.org"], 2, "write local@domain"),
        (["remove", "x@example.org"], 2, "there is no alias x@example.org"),
    ],
)
def test_an_alias_that_will_not_do_is_refused(
    config: Path, arguments: list[str], status: int, sentence: str
) -> None:
    ended = alias(config, *arguments)

    assert ended.status == status
    assert sentence in ended.err
    assert ended.err.count("\n") == 1


def test_an_alias_is_added_once(config: Path) -> None:
    alias(config, "add", "x@example.org", "alice@example.org")

    assert alias(config, "add", "X@example.org", "alice@example.org").status == 2


def domain(config: Path, *arguments: object) -> Ended:
    return notqmail("domain", *arguments, "-c", config)


def test_domains_come_and_go(config: Path) -> None:
    before = config.read_text()

    assert domain(config, "add", "Exämple.net").out == "added xn--exmple-cua.net\n"
    assert load(config).domains == ("example.org", "xn--exmple-cua.net")
    assert domain(config, "list").out == (
        "DOMAIN       MAILBOXES\nexample.org          1\nexämple.net          0\n"
    )
    assert domain(config, "remove", "exämple.net").status == 0
    assert load(config).domains == ("example.org",)
    assert "\n".join(config.read_text().split()) == "\n".join(before.split())


def test_domains_are_listed_for_programs(config: Path) -> None:
    assert json.loads(domain(config, "list", "--json").out) == {
        "domain": "example.org",
        "mailboxes": 1,
    }


def test_a_domain_with_mailboxes_stays(config: Path) -> None:
    user(config, "add", "bob@example.org")

    ended = domain(config, "remove", "example.org")

    assert ended.status == 1
    assert "example.org has 2 mailboxes; first: notqmail user remove alice@example.org" in ended.err
    assert load(config).domains == ("example.org",)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["add", "example.org"], "is there already"),
        (["add", "not a domain"], "not a domain name"),
        (["remove", "example.com"], "there is no domain example.com"),
    ],
)
def test_a_domain_that_will_not_do_is_refused(
    config: Path, arguments: list[str], sentence: str
) -> None:
    ended = domain(config, *arguments)

    assert ended.status == 2
    assert sentence in ended.err
