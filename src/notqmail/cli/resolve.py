"""`notqmail resolve`: where mail for an address would go, by the code that routes it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from notqmail.cli import server, table
from notqmail.cli.command import command
from notqmail.config import load

Tree = Mapping[str, Any]


@command(example="notqmail resolve sales@example.org", records=True)
@click.argument("address", metavar="ADDR")
@click.option(
    "--from", "sender", metavar="ADDR", default="", help="Who sends it, where that matters."
)
def resolve(config: Path, as_json: bool, address: str, sender: str) -> int:
    """Show where mail for an address would go.

    The tree shows each alias on the way and the rule that decided. The status is 1 when mail would be refused.
    """
    tree: Tree = server.ask(load(config), "resolve", {"address": address, "sender": sender})
    if as_json:
        table.show_json([tree])
    else:
        for line in draw(tree):
            click.echo(table.clean(line))
    return 0 if tree["accepts"] else 1


def draw(tree: Tree) -> Iterator[str]:
    """Write a Resolution as lines."""
    yield _node(tree)
    children = tree.get("children", ())
    for number, child in enumerate(children, 1):
        first, *more = draw(child)
        last = number == len(children)
        yield f"{'└─' if last else '├─'} {first}"
        yield from (f"{'  ' if last else '│ '} {line}" for line in more)


def _node(tree: Tree) -> str:
    by = f" ({tree['entry']})" if tree.get("entry", tree["address"]) != tree["address"] else ""
    transport, _, nexthop = tree.get("hop", "").partition(":")
    to = f" → {transport} {nexthop}".rstrip() if transport else ""
    reply = f": {tree['reply']}" if "reply" in tree else ""
    return f"{tree['address']}  {tree['kind']}{by}{to}{reply}"
