"""`notqmail user`: mailboxes. It edits the users file, as an admin would; the running server notices."""

from pathlib import Path

import click

from notqmail.cli import passwords, server, table
from notqmail.cli.addressing import ADDRESS, require_domains
from notqmail.cli.app_password import app_password
from notqmail.cli.command import command
from notqmail.config import load
from notqmail.delivery.mailbox_path import mailbox_path
from notqmail.mail.address import Address
from notqmail.system import accounts_edit


@click.group(epilog="\b\nExample:\n  notqmail user add alice@example.org")
def user() -> None:
    """Mailboxes, in the users file. Changes are live without a restart."""


user.add_command(app_password)


@command(group=user, name="add", example="notqmail user add alice@example.org")
@click.argument("address", metavar="ADDR", type=ADDRESS)
@passwords.password_file
def add(config: Path, address: Address, password_file: str | None) -> None:
    """Add a mailbox.

    The password is asked for on a terminal; elsewhere, and when the answer is empty, one is made up and printed once.
    Only hashes of it are kept.
    """
    settings = load(config)
    require_domains(settings, [address.domain])
    secrets, made_up = passwords.made(passwords.choose(password_file), settings.auth.argon2)
    accounts_edit.add_user(Path(settings.users), address, secrets.argon2, secrets.scram)
    click.echo(f"added {address}")
    passwords.tell(address, made_up)


@command(group=user, name="passwd", example="notqmail user passwd alice@example.org")
@click.argument("address", metavar="ADDR", type=ADDRESS)
@passwords.password_file
def passwd(config: Path, address: Address, password_file: str | None) -> None:
    """Give a mailbox a new password.

    It is asked for on a terminal; elsewhere, and when the answer is empty, one is made up and printed once. App
    passwords stay as they are.
    """
    settings = load(config)
    app = accounts_edit.list_app_passwords(Path(settings.auth.app_passwords), address)
    secrets, made_up = passwords.made(
        passwords.choose(password_file),
        settings.auth.argon2,
        like=app[0].scram if app else None,  # or SCRAM would know them no more
    )
    accounts_edit.set_password(Path(settings.users), address, secrets.argon2, secrets.scram)
    click.echo(f"changed the password of {address}")
    passwords.tell(address, made_up)


@command(group=user, name="remove", example="notqmail user remove alice@example.org")
@click.argument("address", metavar="ADDR", type=ADDRESS)
def remove(config: Path, address: Address) -> None:
    """Remove a mailbox.

    New mail for it is refused from now on. Mail that was delivered stays where it is; the command says where.
    """
    settings = load(config)
    accounts_edit.remove_user(Path(settings.users), address)
    click.echo(f"removed {address}")
    revoked = accounts_edit.remove_app_passwords(Path(settings.auth.app_passwords), address)
    if revoked:
        click.echo(f"removed its {revoked} app passwords")
    place = settings.data / mailbox_path(settings.mailbox.path, address)
    if place.exists():
        click.echo(f"its mail stays in {place}")
    for name, targets in accounts_edit.list_aliases(Path(settings.aliases)):
        if (address.fold, address.domain) in {(t.fold, t.domain) for t in targets}:
            click.echo(f"the alias {name} still leads to it: notqmail alias remove {name}")


@command(group=user, name="list", example="notqmail user list --json", records=True)
def list_(config: Path, as_json: bool) -> None:
    """List the mailboxes, and whether they have a password."""
    accounts = accounts_edit.list_users(Path(load(config).users))
    if as_json:
        table.show_json(
            {"address": str(each.address), "password": bool(each.argon2)} for each in accounts
        )
        return
    rows = [(each.address.display(), "set" if each.argon2 else "none") for each in accounts]
    table.show(("ADDRESS", "PASSWORD"), rows)


@command(group=user, name="held", example="notqmail user held", records=True)
def held(config: Path, as_json: bool) -> None:
    """List the accounts whose mail is held because they sent too much.

    What they send is accepted and kept in the queue until they are released.
    """
    rows = server.ask(load(config), "account_holds", {})
    if as_json:
        table.show_json(rows)
        return
    if not rows:
        click.echo("no account is held")
        return
    cells = (
        (
            each["account"],
            table.age(each["since"]),
            each["messages"],
            each["recipients"],
            each["reason"],
        )
        for each in rows
    )
    table.show(
        ("ACCOUNT", "FOR", "MESSAGES", "RECIPIENTS", "HAS SENT"),
        list(cells),
        right=("FOR", "MESSAGES", "RECIPIENTS"),
    )


@command(group=user, name="release", example="notqmail user release alice@example.org")
@click.argument("account", metavar="ADDR")
def release(config: Path, account: str) -> None:
    """Let a held account go on: deliver what was kept of it, and count its hour anew.

    Delete first what is not the owner's: notqmail queue delete --held --login ADDR
    """
    done = server.ask(load(config), "account_release", {"account": account})
    click.echo(f"released {account}; messages on their way now: {done['messages']}")
