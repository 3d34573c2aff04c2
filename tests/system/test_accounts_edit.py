from pathlib import Path

import pytest

from notqmail.mail.address import Address
from notqmail.mail.errors import ConfigError
from notqmail.system import scram_text
from notqmail.system.accounts_edit import (
    add_alias,
    add_app_password,
    add_user,
    find_user,
    list_aliases,
    list_app_passwords,
    list_users,
    remove_alias,
    remove_app_password,
    remove_app_passwords,
    remove_user,
    set_password,
)
from notqmail.system.app_passwords_text import AppPassword, hash_of

ALICE, BOB = Address.parse("alice@example.org"), Address.parse("bob@example.org")
ARGON2, SCRAM = "$argon2id$x", "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy"
USERS = (
    "# the staff\nAlice@example.org $argon2id$old - # since 1998\n\n# guests\ncarol@example.org\n"
)
ALIASES = (
    "# roles\nsales@example.org: alice@example.org\n# the rest\n@example.org: alice@example.org\n"
)


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(USERS)
    return path


@pytest.fixture
def aliases(tmp_path: Path) -> Path:
    path = tmp_path / "aliases"
    path.write_text(ALIASES)
    return path


def test_users_are_listed_in_the_order_of_the_file(users: Path) -> None:
    assert [str(user.address) for user in list_users(users)] == [
        "Alice@example.org",
        "carol@example.org",
    ]


def test_added_user_is_the_last_line(users: Path) -> None:
    add_user(users, BOB, ARGON2, SCRAM)

    assert users.read_text() == f"{USERS}bob@example.org {ARGON2} {SCRAM}\n"


def test_added_user_without_a_password_has_no_secrets(users: Path) -> None:
    add_user(users, BOB)

    assert users.read_text() == f"{USERS}bob@example.org\n"


def test_first_user_makes_the_file(tmp_path: Path) -> None:
    add_user(tmp_path / "users", BOB, scram=SCRAM)

    assert (tmp_path / "users").read_text() == f"bob@example.org - {SCRAM}\n"


def test_last_line_without_an_end_gets_one(users: Path) -> None:
    users.write_text("alice@example.org")

    add_user(users, BOB)

    assert users.read_text() == "alice@example.org\nbob@example.org\n"


def test_user_is_not_added_twice(users: Path) -> None:
    with pytest.raises(ConfigError, match="is there already"):
        add_user(users, Address.parse("ALICE@example.org"))

    assert users.read_text() == USERS


def test_new_password_changes_one_line(users: Path) -> None:
    set_password(users, ALICE, ARGON2, "")

    assert users.read_text() == USERS.replace(
        "Alice@example.org $argon2id$old - # since 1998", f"alice@example.org {ARGON2} -"
    )


def test_removed_user_takes_one_line_away(users: Path) -> None:
    remove_user(users, ALICE)

    assert users.read_text() == "# the staff\n\n# guests\ncarol@example.org\n"


def test_unknown_user_is_told(users: Path) -> None:
    for change in (remove_user, lambda path, who: set_password(path, who, ARGON2, SCRAM)):
        with pytest.raises(ConfigError, match=r"there is no mailbox bob@example\.org"):
            change(users, BOB)


def test_secret_that_would_break_the_file_is_refused(users: Path) -> None:
    with pytest.raises(ConfigError):
        add_user(users, BOB, "x\nroot@example.org")

    assert users.read_text() == USERS


def test_wrong_file_is_not_edited(users: Path) -> None:
    users.write_text("nonsense\n")

    with pytest.raises(ConfigError, match="users:1"):
        add_user(users, BOB)


def test_aliases_are_listed_with_catch_alls(aliases: Path) -> None:
    assert list_aliases(aliases) == [
        ("sales@example.org", (ALICE,)),
        ("@example.org", (ALICE,)),
    ]


def test_listed_alias_can_be_removed_by_its_listed_name(aliases: Path) -> None:
    aliases.write_text('"a b"@example.org: alice@example.org\n')

    ((name, _),) = list_aliases(aliases)
    remove_alias(aliases, name)

    assert aliases.read_text() == ""


def test_added_alias_is_the_last_line(aliases: Path) -> None:
    add_alias(aliases, "info@example.org", [ALICE, BOB])

    assert aliases.read_text() == f"{ALIASES}info@example.org: alice@example.org, bob@example.org\n"


@pytest.mark.parametrize("name", ["Sales@example.org", "@EXAMPLE.org"])
def test_alias_is_not_added_twice(aliases: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="is there already"):
        add_alias(aliases, name, [BOB])


@pytest.mark.parametrize("name", ["sales@example.org", "@example.org"])
def test_removed_alias_takes_one_line_away(aliases: Path, name: str) -> None:
    remove_alias(aliases, name)

    assert aliases.read_text() == ALIASES.replace(f"\n{name}: alice@example.org", "")


def test_unknown_alias_is_told(aliases: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no alias info@example\.org"):
        remove_alias(aliases, "info@example.org")


@pytest.mark.parametrize("name", ["info", "@-x", "a b@example.org"])
def test_name_that_is_no_address_is_told(aliases: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        add_alias(aliases, name, [BOB])


def test_alias_without_targets_is_refused(aliases: Path) -> None:
    with pytest.raises(ConfigError, match="not an alias"):
        add_alias(aliases, "info@example.org", [])

    assert aliases.read_text() == ALIASES


def app(address: Address, label: str) -> AppPassword:
    return AppPassword(
        address, label, hash_of(label, b"salt"), scram_text.make(label, b"salt", 4096)
    )


@pytest.fixture
def app_passwords(tmp_path: Path, users: Path) -> Path:
    """One that does not exist before the first app password."""
    path = tmp_path / "app-passwords"
    for address, label in ((ALICE, "phone"), (BOB, "phone"), (ALICE, "laptop")):
        add_app_password(path, app(address, label), users)
    return path


def labels(path: Path, address: Address | None = None) -> list[str]:
    return [f"{each.address.local} {each.label}" for each in list_app_passwords(path, address)]


def test_user_that_must_be_there_is_found(users: Path) -> None:
    assert find_user(users, ALICE).argon2 == "$argon2id$old"
    with pytest.raises(ConfigError, match="no mailbox bob@"):
        find_user(users, BOB)


def test_app_passwords_are_added_line_by_line(app_passwords: Path) -> None:
    assert labels(app_passwords) == ["alice phone", "alice laptop", "bob phone"]
    assert labels(app_passwords, BOB) == ["bob phone"]
    assert len(app_passwords.read_text().splitlines()) == 3


def test_one_app_password_is_removed_and_comments_stay(app_passwords: Path) -> None:
    app_passwords.write_text(f"# ours\n{app_passwords.read_text()}")

    remove_app_password(app_passwords, ALICE, "phone")

    assert labels(app_passwords) == ["bob phone", "alice laptop"]
    assert app_passwords.read_text().startswith("# ours\n")


def test_all_app_passwords_of_a_mailbox_are_removed(app_passwords: Path) -> None:
    assert remove_app_passwords(app_passwords, ALICE) == 2
    assert labels(app_passwords) == ["bob phone"]
    assert remove_app_passwords(app_passwords, ALICE) == 0


def test_file_that_is_made_is_for_those_who_read_the_users(tmp_path: Path, users: Path) -> None:
    users.chmod(0o640)

    add_app_password(tmp_path / "new", app(ALICE, "phone"), users)

    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


def test_label_stands_once_for_a_mailbox(app_passwords: Path, users: Path) -> None:
    with pytest.raises(ConfigError, match="has phone already"):
        add_app_password(app_passwords, app(ALICE, "phone"), users)
    with pytest.raises(ConfigError, match="has no tablet"):
        remove_app_password(app_passwords, ALICE, "tablet")
