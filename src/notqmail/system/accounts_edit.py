"""Editing users, aliases and app passwords as an admin would: one line changes, comments and order stay.

Every edit is parsed before it takes the file's place, and takes it at once (system/replace).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from notqmail.mail.address import Address
from notqmail.mail.errors import ConfigError
from notqmail.system.accounts import read_text
from notqmail.system.accounts_text import (
    Account,
    Key,
    alias_key,
    lines,
    parse_aliases,
    parse_users,
)
from notqmail.system.app_passwords_text import AppPassword, parse_app_passwords
from notqmail.system.replace import editing, replace_text

Parse = Callable[[str, str], object]


def list_users(path: Path) -> list[Account]:
    """Give the mailboxes in the order of the file. Raises ConfigError, as everything here does."""
    return list(parse_users(read_text(path), str(path)).values())


def add_user(path: Path, address: Address, argon2: str = "", scram: str = "") -> None:
    """Add a mailbox; it must not be there yet."""
    with editing(path):
        text = _text(path, parse_users)
        if _user_line(text, address) is not None:
            raise ConfigError(
                str(path), f"{address} is there already", f"notqmail user passwd {address}"
            )
        _replace(path, _appended(text, _user(address, argon2, scram)), parse_users)


def set_password(path: Path, address: Address, argon2: str, scram: str) -> None:
    """Give a mailbox new secrets; its line and what is around it stay where they are."""
    with editing(path):
        text = _text(path, parse_users)
        new = _user(address, argon2, scram)
        _replace(path, _with_line(text, _known_user(path, text, address), new), parse_users)


def remove_user(path: Path, address: Address) -> None:
    """Remove a mailbox from the file. Its mail stays on the disk."""
    with editing(path):
        text = _text(path, parse_users)
        _replace(path, _with_line(text, _known_user(path, text, address), None), parse_users)


def find_user(path: Path, address: Address) -> Account:
    """Give a mailbox that must be there."""
    account = parse_users(read_text(path), str(path)).get((address.fold, address.domain))
    if account is None:
        raise _no_mailbox(path, address)
    return account


def list_app_passwords(path: Path, address: Address | None = None) -> list[AppPassword]:
    """Give the app passwords, of all mailboxes or of one, in the order of the file."""
    found = parse_app_passwords(_text(path, parse_app_passwords), str(path))
    if address is not None:
        return list(found.get((address.fold, address.domain), ()))
    return [each for of_one in found.values() for each in of_one]


def add_app_password(path: Path, new: AppPassword, users: Path) -> None:
    """Add an app password; its mailbox must not have one with that label yet. Whoever may read `users` may read a file
    that is made for it."""
    with editing(path):
        text = _text(path, parse_app_passwords)
        if _app_password_line(text, new.address, new.label) is not None:
            raise ConfigError(
                str(path),
                f"{new.address} has {new.label} already",
                f"choose another label, or: notqmail user app-password remove {new.address} {new.label}",
            )
        text = _appended(text, str(new))
        parse_app_passwords(text, str(path))
        replace_text(path, text, like=users)


def remove_app_password(path: Path, address: Address, label: str) -> None:
    """Remove one app password."""
    with editing(path):
        text = _text(path, parse_app_passwords)
        number = _app_password_line(text, address, label)
        if number is None:
            raise ConfigError(
                str(path), f"{address} has no {label}", f"notqmail user app-password list {address}"
            )
        _replace(path, _with_line(text, number, None), parse_app_passwords)


def remove_app_passwords(path: Path, address: Address) -> int:
    """Remove all app passwords of a mailbox; give how many there were."""
    labels = [each.label for each in list_app_passwords(path, address)]
    for label in labels:
        remove_app_password(path, address, label)
    return len(labels)


def list_aliases(path: Path) -> list[tuple[str, Sequence[Address]]]:
    """Give names (catch-alls as "@domain") and targets in the order of the file."""
    found = parse_aliases(read_text(path), str(path))
    return [
        (str(Address(local, domain)) if local else f"@{domain}", targets)
        for (local, domain), targets in found.items()
    ]


def add_alias(path: Path, name: str, targets: Sequence[Address]) -> None:
    """Add an alias; it must not be there yet."""
    key = alias_key(name, "alias")
    with editing(path):
        text = _text(path, parse_aliases)
        if _alias_line(text, key) is not None:
            raise ConfigError(
                str(path), f"{name} is there already", f"notqmail alias remove {name}"
            )
        line = f"{name}: {', '.join(map(str, targets))}"
        _replace(path, _appended(text, line), parse_aliases)


def remove_alias(path: Path, name: str) -> None:
    """Remove an alias."""
    key = alias_key(name, "alias")
    with editing(path):
        text = _text(path, parse_aliases)
        number = _alias_line(text, key)
        if number is None:
            raise ConfigError(str(path), f"there is no alias {name}", "notqmail alias list")
        _replace(path, _with_line(text, number, None), parse_aliases)


def _user(address: Address, argon2: str, scram: str) -> str:
    secrets = f" {argon2 or '-'} {scram or '-'}" if argon2 or scram else ""
    return f"{address}{secrets}"


def _known_user(path: Path, text: str, address: Address) -> int:
    number = _user_line(text, address)
    if number is None:
        raise _no_mailbox(path, address)
    return number


def _no_mailbox(path: Path, address: Address) -> ConfigError:
    return ConfigError(str(path), f"there is no mailbox {address}", f"notqmail user add {address}")


def _user_line(text: str, address: Address) -> int | None:
    key = address.fold, address.domain
    return _line(text, lambda line: key in parse_users(line, ""))


def _app_password_line(text: str, address: Address, label: str) -> int | None:
    key = address.fold, address.domain

    def says(line: str) -> bool:
        return any(each.label == label for each in parse_app_passwords(line, "").get(key, ()))

    return _line(text, says)


def _alias_line(text: str, key: Key) -> int | None:
    return _line(text, lambda line: key in parse_aliases(line, ""))


def _line(text: str, says: Callable[[str], bool]) -> int | None:
    """Find the line, counted from 0; the text is valid as a whole."""
    return next((number - 1 for number, line in lines(text) if says(line)), None)


def _with_line(text: str, number: int, new: str | None) -> str:
    """Put a line in another's place, or nothing."""
    kept = text.split("\n")
    kept[number : number + 1] = [] if new is None else [new]
    return "\n".join(kept)


def _appended(text: str, line: str) -> str:
    return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n"


def _text(path: Path, parse: Parse) -> str:
    """Read the file to be edited, which must be right; one that does not exist yet is empty."""
    text = read_text(path) if path.exists() else ""
    parse(text, str(path))
    return text


def _replace(path: Path, text: str, parse: Parse) -> None:
    parse(text, str(path))
    replace_text(path, text)
