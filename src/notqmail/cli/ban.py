"""`notqmail ban`: who may not log in for a while."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from notqmail.cli import server, table
from notqmail.cli.command import command
from notqmail.cli.queue import Span
from notqmail.config import Config, load

Row = Mapping[str, Any]


@click.group(epilog="\b\nExample:\n  notqmail ban list")
def ban() -> None:
    """Networks that may not log in. The server bans who fails too often; changes are live without a restart.

    A ban is for the listeners where people log in. Mail from that network to port 25 comes in as before.
    """


@command(group=ban, name="list", example="notqmail ban list --json", records=True)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Bans at most.",
)
def list_(config: Path, as_json: bool, limit: int) -> None:
    """List the bans in force, the newest first."""
    rows = _ask(config, "ban_list", {"limit": limit})
    if as_json:
        table.show_json(rows)
    elif rows:
        cells = [
            (row["network"], table.moment(row["since"]), _ends(row), row["why"], row["count"] or "")
            for row in rows
        ]
        table.show(("NETWORK", "SINCE", "ENDS", "WHY", "BANS"), cells, right=("BANS",))
    else:
        click.echo("nobody is banned")


@command(group=ban, name="add", example="notqmail ban add 203.0.113.0/24 --for 1h")
@click.argument("network", metavar="NETWORK")
@click.option("--for", "span", metavar="SPAN", type=Span(), help='So long: "90s", "1h", "7d".')
def add(config: Path, network: str, span: float | None) -> None:
    """Ban a network, until it is lifted or for a time.

    NETWORK is 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32; an IPv6 address without a length means its /64.
    """
    row = _ask(config, "ban_add", {"network": network, "seconds": span})
    how_long = f"for {table.span(span)}" if span is not None else "until it is lifted"
    click.echo(f"banned {row['network']} {how_long}")


@command(group=ban, name="lift", example="notqmail ban lift 203.0.113.7")
@click.argument("network", metavar="[NETWORK]", required=False)
@click.option("--all", "everything", is_flag=True, help="All bans there are.")
def lift(config: Path, network: str | None, everything: bool) -> None:
    """End bans at once: all that an address is in, all of a network, or all there are.

    The status is 1 when there was nothing to lift.
    """
    if (network is None) != everything:
        raise click.UsageError("Name a NETWORK, or --all.")
    args = {"all": True} if everything else {"network": network}
    for row in _ask(config, "ban_lift", args):
        click.echo(f"lifted {row['network']}")


def _ask(config: Path, op: str, args: Mapping[str, Any]) -> Any:
    return server.ask(load(config), op, args, _by_hand)


def _by_hand(settings: Config) -> server.Opened:
    # all of the server: slow to import, and needed only when none runs
    from notqmail.app.offline import offline_bans  # noqa: PLC0415

    return offline_bans(settings)


def _ends(row: Row) -> str:
    return "never" if row["until"] is None else table.until(row["until"])
