"""`notqmail why`: the journal, explained."""

from pathlib import Path

import click

from notqmail.cli import server, table
from notqmail.cli.command import command
from notqmail.config import load
from notqmail.policy.explain import explain


@command(example="notqmail why K7Q2M4XW", records=True)
@click.argument("ref", metavar="REF")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Records at most.",
)
def why(config: Path, as_json: bool, ref: str, limit: int) -> int:
    """Tell what happened to a message, and why.

    REF is a queue id, the reference of a refusal ([ref …]), a Message-ID, an address or an IP address. The status is 1
    when nothing is known.
    """
    records = server.ask(load(config), "why", {"ref": ref, "limit": limit})
    if as_json:
        table.show_json(records)
    else:
        click.echo(explain(records), nl=False)
    return 0 if records else 1
