"""`notqmail auth`: trying a login without the server."""

import sys
from pathlib import Path

import click

from notqmail.auth.saslprep import prepare
from notqmail.cli import passwords
from notqmail.cli.addressing import ADDRESS
from notqmail.cli.command import RefusedError, command
from notqmail.config import Config, load
from notqmail.mail.address import Address
from notqmail.system import accounts_edit, scram_text
from notqmail.system.auth_users import fitting, same_salt, shared
from notqmail.system.passwords import stale, verify


@click.group(epilog="\b\nExample:\n  notqmail auth check alice@example.org")
def auth() -> None:
    """Logging in: who may, tried without the server."""


@command(group=auth, name="check", example="notqmail auth check alice@example.org")
@click.argument("address", metavar="ADDR", type=ADDRESS)
@passwords.password_file
def check(config: Path, address: Address, password_file: str | None) -> None:
    """Say whether a password lets a mailbox log in, and which of its passwords it is.

    The users file and the app passwords file are looked at, as they are now; other sources of accounts are not asked.
    The password is asked for on a terminal.
    """
    settings = load(config)
    if "users" not in settings.auth.sources:
        raise RefusedError(
            'logins do not come from the users file: auth.sources has no "users"; try one with a mail program'
        )
    account = accounts_edit.find_user(Path(settings.users), address)
    password = passwords.choose(password_file) if password_file is not None else _asked()
    try:
        prepared = prepare(password or "")
    except ValueError as error:
        raise RefusedError(f"{error}: it is nobody's") from None
    app = accounts_edit.list_app_passwords(Path(settings.auth.app_passwords), address)
    main = scram_text.read(account.scram)
    found = fitting(prepared, app)
    if found is not None:
        click.echo(f"right: it is the app password {found.label} of {address}")
        like = shared(main, app)
        if like is not None and not same_salt(found.scram, like):
            click.echo(
                f"it works with PLAIN and LOGIN only, its salt is another: remove {found.label} and add it again"
            )
    elif account.argon2 and verify(prepared, account.argon2):
        click.echo(f"right: it is the password of {address}")
        _tell_about(settings, account.argon2, address, has_scram=main is not None)
    else:
        raise RefusedError(f"wrong: {address} has no such password")


def _tell_about(settings: Config, argon2: str, address: Address, *, has_scram: bool) -> None:
    again = f"set it again: notqmail user passwd {address}"
    if stale(argon2, settings.auth.argon2):
        click.echo(f"its hash was made with other values than [auth.argon2] has; {again}")
    if not has_scram:
        click.echo(f"it works with PLAIN and LOGIN only, it has no SCRAM keys; {again}")


def _asked() -> str:
    if not sys.stdin.isatty():
        raise passwords.PasswordError("there is no password to check; give --password-file FILE")
    typed: str = click.prompt("Password", hide_input=True)
    return typed
