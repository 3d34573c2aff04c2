"""user app-password, auth check: what a login with the same files will say."""

import json
from pathlib import Path

import pytest

from notqmail.system import accounts_edit
from notqmail.system.last_use import NAME
from tests.support.commands import Ended, init, notqmail

ALICE = "alice@example.org"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    config = init(tmp_path / "x")
    user(config, "passwd", ALICE, "--password-file", "-", given=b"pencil\n")
    return config


def user(config: Path, *arguments: object, given: bytes = b"") -> Ended:
    return notqmail("user", *arguments, "-c", config, given=given)


def add(config: Path, *arguments: object, given: bytes = b"") -> Ended:
    return user(config, "app-password", "add", *arguments, given=given)


def added(config: Path, *arguments: object) -> str:
    ended = add(config, *arguments)
    assert ended.status == 0, ended.err
    return ended.out.splitlines()[1].split(": ")[1].split()[0]


def check(config: Path, password: str, address: str = ALICE) -> Ended:
    return notqmail(
        *("auth", "check", address, "--password-file", "-", "-c", config),
        given=password.encode() + b"\n",
    )


def change(config: Path, before: str, after: str) -> None:
    """Give a key of the configuration another value; those that have their defaults are comments."""
    text = config.read_text()
    assert f"#{before}" in text
    config.write_text(text.replace(f"#{before}", after, 1))


def test_app_password_is_told_once_and_kept_as_hashes(config: Path) -> None:
    ended = add(config, "ALICE@example.org", "phone")

    first, second = ended.out.splitlines()
    assert first == "added phone of alice@example.org"
    assert second.startswith("password of alice@example.org, phone: ")
    assert second.endswith("   (shown only now)")
    password = second.split(": ")[1].split()[0]
    assert password not in config.with_name("app-passwords").read_text()
    assert config.with_name("app-passwords").stat().st_mode & 0o777 == 0o600
    assert check(config, password).out == (
        "right: it is the app password phone of alice@example.org\n"
    )


def test_app_password_made_before_is_taken_from_a_file(config: Path) -> None:
    ended = add(config, ALICE, "phone", "--password-file", "-", given=b"aaaaa-bbbbb-ccccc-ddddd\n")

    assert ended.out == "added phone of alice@example.org\n"
    assert "phone" in check(config, "aaaaa-bbbbb-ccccc-ddddd").out


def test_main_password_is_checked_too(config: Path) -> None:
    assert check(config, "pencil").out == "right: it is the password of alice@example.org\n"
    wrong = check(config, "pencils")
    assert (wrong.status, wrong.err) == (
        1,
        "notqmail: wrong: alice@example.org has no such password\n",
    )
    assert check(config, "a\x07b").status == 1


def test_app_passwords_outlive_a_new_main_password(config: Path) -> None:
    phone = added(config, ALICE, "phone")

    user(config, "passwd", ALICE, "--password-file", "-", given=b"new one\n")

    assert check(config, phone).out == "right: it is the app password phone of alice@example.org\n"
    assert check(config, "new one").status == 0


def test_app_password_with_another_salt_is_told(config: Path) -> None:
    phone = added(config, ALICE, "phone")
    account = accounts_edit.list_users(config.with_name("users"))[0]
    app = config.with_name("app-passwords")
    kept = app.read_text()
    app.unlink()
    user(config, "passwd", ALICE, "--password-file", "-", given=b"new one\n")
    app.write_text(kept)

    assert accounts_edit.list_users(config.with_name("users"))[0].scram != account.scram
    assert "its salt is another: remove phone and add it again" in check(config, phone).out


def test_what_a_hash_lacks_is_told(config: Path) -> None:
    users = config.with_name("users")
    (account,) = accounts_edit.list_users(users)
    users.write_text(f"{ALICE} {account.argon2}\n")
    change(config, "passes = 2", "passes = 3")

    said = check(config, "pencil").out.splitlines()

    assert said[1].startswith("its hash was made with other values than [auth.argon2] has; set it")
    assert said[2].startswith("it works with PLAIN and LOGIN only, it has no SCRAM keys; set it")


def test_app_passwords_are_listed_with_restrictions_and_last_uses(config: Path) -> None:
    added(config, ALICE, "phone")
    added(
        config,
        *(ALICE, "scanner", "--from", "scan@example.org", "--for", "submission"),
        *("--network", "192.0.2.0/24", "--network", "2001:db8::/32"),
    )
    phone = accounts_edit.list_app_passwords(config.with_name("app-passwords"))[0]
    (config.parent / "data" / NAME).write_text(json.dumps({phone.id: 1_800_000_000}))

    assert user(config, "app-password", "list").out.splitlines() == [
        "ADDRESS            LABEL    FROM              NETWORKS                     FOR         LAST USE",
        "alice@example.org  phone    any               any                          any         2027-01-15 08:00:00 UTC",
        "alice@example.org  scanner  scan@example.org  192.0.2.0/24, 2001:db8::/32  submission  never",
    ]
    records = user(config, "app-password", "list", ALICE, "--json").out.splitlines()
    assert [json.loads(line) for line in records] == [
        {
            "address": ALICE,
            "label": "phone",
            "from": None,
            "networks": [],
            "for": None,
            "last_use": 1_800_000_000.0,
        },
        {
            "address": ALICE,
            "label": "scanner",
            "from": "scan@example.org",
            "networks": ["192.0.2.0/24", "2001:db8::/32"],
            "for": "submission",
            "last_use": None,
        },
    ]


def test_without_any_the_list_is_empty(config: Path) -> None:
    assert user(config, "app-password", "list", "--json").out == ""


def test_app_passwords_are_revoked_one_by_one(config: Path) -> None:
    phone, laptop = added(config, ALICE, "phone"), added(config, ALICE, "laptop")

    ended = user(config, "app-password", "remove", ALICE, "phone")

    assert ended.out == "removed phone of alice@example.org\n"
    assert check(config, phone).status == 1
    assert check(config, laptop).status == 0


def test_a_removed_mailbox_takes_its_app_passwords_along(config: Path) -> None:
    phone = added(config, ALICE, "phone")

    assert "removed its 1 app passwords" in user(config, "remove", ALICE).out
    user(config, "add", ALICE)

    assert check(config, phone).status == 1


@pytest.mark.parametrize(
    ("arguments", "given", "sentence"),
    [
        (["bob@example.org", "phone"], b"", "there is no mailbox bob@example.org; notqmail user"),
        ([ALICE, "my phone"], b"", "'my phone': write 1 to 64 letters"),
        ([ALICE, "x", "--network", "10.0.0.1/8"], b"", "write 192.0.2.0/24 or"),
        ([ALICE, "x", "--from", "nobody"], b"", "has no domain"),
        ([ALICE, "x", "--for", "imap"], b"", "'imap' is not"),
        ([ALICE, "x", "--password-file", "-"], b"my own\n", "must be one that notqmail made"),
    ],
)
def test_what_cannot_be_added_is_told(
    config: Path, arguments: list[str], given: bytes, sentence: str
) -> None:
    ended = add(config, *arguments, given=given)

    assert ended.status == 2
    assert sentence in ended.err
    assert not accounts_edit.list_app_passwords(config.with_name("app-passwords"))


def test_a_label_is_not_given_twice_and_not_removed_twice(config: Path) -> None:
    added(config, ALICE, "phone")

    assert "has phone already" in add(config, ALICE, "phone").err
    user(config, "app-password", "remove", ALICE, "phone")
    assert "has no phone" in user(config, "app-password", "remove", ALICE, "phone").err


def test_check_needs_a_password_and_our_own_accounts(config: Path) -> None:
    unasked = notqmail("auth", "check", ALICE, "-c", config)
    assert (unasked.status, "give --password-file" in unasked.err) == (2, True)

    change(config, 'sources = ["users"]', 'sources = ["system"]')
    elsewhere = check(config, "pencil")
    assert (elsewhere.status, 'has no "users"' in elsewhere.err) == (1, True)
