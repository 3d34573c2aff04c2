"""`notqmail alias`: other names for mailboxes. It edits the aliases file; the running server notices."""

from pathlib import Path

import click

from notqmail.cli import table
from notqmail.cli.addressing import ADDRESS, require_domains
from notqmail.cli.command import command
from notqmail.config import load
from notqmail.mail.address import Address
from notqmail.system import accounts_edit
from notqmail.system.accounts_text import alias_key


@click.group(epilog="\b\nExample:\n  notqmail alias add sales@example.org alice@example.org")
def alias() -> None:
    """Aliases, in the aliases file. Changes are live without a restart."""


@command(
    group=alias,
    name="add",
    example="notqmail alias add sales@example.org alice@example.org bob@example.net",
)
@click.argument("name", metavar="NAME")
@click.argument("targets", metavar="ADDR...", type=ADDRESS, nargs=-1, required=True)
def add(config: Path, name: str, targets: tuple[Address, ...]) -> None:
    """Let mail for NAME go to each ADDR.

    NAME is an address of one of our domains, or @DOMAIN for what nothing else there matches.
    """
    settings = load(config)
    require_domains(settings, [alias_key(name, "alias")[1]])
    accounts_edit.add_alias(Path(settings.aliases), name, targets)
    click.echo(f"added {name}")


@command(group=alias, name="remove", example="notqmail alias remove sales@example.org")
@click.argument("name", metavar="NAME")
def remove(config: Path, name: str) -> None:
    """Remove an alias."""
    accounts_edit.remove_alias(Path(load(config).aliases), name)
    click.echo(f"removed {name}")


@command(group=alias, name="list", example="notqmail alias list --json", records=True)
def list_(config: Path, as_json: bool) -> None:
    """List the aliases and where each leads."""
    found = accounts_edit.list_aliases(Path(load(config).aliases))
    if as_json:
        table.show_json(
            {"alias": name, "targets": [str(target) for target in targets]}
            for name, targets in found
        )
        return
    rows = [(name, ", ".join(target.display() for target in targets)) for name, targets in found]
    table.show(("ALIAS", "LEADS TO"), rows)
