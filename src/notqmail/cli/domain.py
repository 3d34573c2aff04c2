"""`notqmail domain`: the domains whose mail ends here. It edits the `[[domain]]` blocks of the configuration."""

import contextlib
from pathlib import Path

import click

from notqmail.cli import table
from notqmail.cli.addressing import DOMAIN
from notqmail.cli.command import RefusedError, command
from notqmail.config import load
from notqmail.mail.idn import display_domain
from notqmail.system import accounts_edit, domains_edit
from notqmail.system.control import ControlError, call


@click.group(epilog="\b\nExample:\n  notqmail domain add example.net")
def domain() -> None:
    """Domains, in the configuration file. Changes are live without a restart."""


@command(group=domain, name="add", example="notqmail domain add example.net")
@click.argument("name", metavar="DOMAIN", type=DOMAIN)
def add(config: Path, name: str) -> None:
    """Receive mail for DOMAIN from now on. It needs mailboxes or aliases next."""
    domains_edit.add_domain(config, name)
    click.echo(f"added {name}")
    _tell_server(config)


@command(group=domain, name="remove", example="notqmail domain remove example.net")
@click.argument("name", metavar="DOMAIN", type=DOMAIN)
def remove(config: Path, name: str) -> None:
    """Receive no more mail for DOMAIN. RefusedError while it has mailboxes."""
    left = [
        str(account.address)
        for account in accounts_edit.list_users(Path(load(config).users))
        if account.address.domain == name
    ]
    if left:
        raise RefusedError(
            f"{name} has {len(left)} mailbox{'es' if len(left) > 1 else ''}; "
            f"first: notqmail user remove {left[0]}"
        )
    domains_edit.remove_domain(config, name)
    click.echo(f"removed {name}")
    _tell_server(config)


@command(group=domain, name="list", example="notqmail domain list --json", records=True)
def list_(config: Path, as_json: bool) -> None:
    """List the domains and how many mailboxes each has."""
    settings = load(config)
    homes = [account.address.domain for account in accounts_edit.list_users(Path(settings.users))]
    if as_json:
        table.show_json({"domain": d, "mailboxes": homes.count(d)} for d in settings.domains)
        return
    rows = [(display_domain(d), homes.count(d)) for d in settings.domains]
    table.show(("DOMAIN", "MAILBOXES"), rows, right=("MAILBOXES",))


def _tell_server(config: Path) -> None:
    """A server that runs takes the change over at once; one that cannot be told sees it soon, or when it starts."""
    with contextlib.suppress(ControlError):
        call(load(config).data / "control.sock", "reload", {})
