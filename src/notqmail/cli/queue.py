"""`notqmail queue`: what waits to be delivered."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from notqmail.cli import server, table
from notqmail.cli.command import RefusedError, command
from notqmail.config import Config, load, seconds

F = TypeVar("F", bound=Callable[..., Any])
Row = Mapping[str, Any]
Filter = dict[str, Any]

LIST_LIMIT = 1000
COUNT_LIMIT = 100_000  # recipients that are counted before a change
_PAST = {"retry": "due now", "hold": "held", "release": "released", "delete": "deleted"}


@click.group(epilog="\b\nExample:\n  notqmail queue list --domain example.net --older 4h")
def queue() -> None:
    """Messages that wait to be delivered, by recipient."""


class Span(click.ParamType[float]):
    """A span of time: "90s", "4h", "7d"."""

    name = "span"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return float(seconds(str(value)))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def filters(function: F) -> F:
    """Add the options that say which recipients are meant."""
    for option in (
        click.option("--held", is_flag=True, help="Only what is held."),
        click.option("--login", metavar="ACCOUNT", help="The account that sent it."),
        click.option(
            "--older", metavar="SPAN", type=Span(), help='Accepted so long ago: "4h", "7d".'
        ),
        click.option("--domain", metavar="DOMAIN", help="The recipient's domain."),
        click.option("--to", metavar="ADDR", help="The recipient, or @DOMAIN."),
        click.option(
            "--from", "sender", metavar="ADDR", help='The sender, or @DOMAIN; "" for bounces.'
        ),
    ):
        function = option(function)
    return function


def filter_of(
    sender: str | None,
    to: str | None,
    domain: str | None,
    older: float | None,
    *,
    login: str | None = None,
    held: bool = False,
) -> Filter:
    """Give what the options said as the fields of QueueFilter."""
    sender = "" if sender == "<>" else sender
    given = {
        "sender": sender,
        "recipient": to,
        "domain": domain,
        "older": older,
        "login": login,
        "held": held or None,
    }
    return {name: value for name, value in given.items() if value is not None}


@command(group=queue, name="list", example="notqmail queue list --domain example.net", records=True)
@filters
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1),
    default=LIST_LIMIT,
    show_default=True,
    help="Recipients at most.",
)
def list_(config: Path, as_json: bool, limit: int, **given: Any) -> None:
    """List what waits, oldest first: one line for each recipient."""
    which = filter_of(**given)
    rows: Sequence[Row] = server.ask(load(config), "queue_list", {**which, "limit": limit})
    if as_json:
        table.show_json(rows)
        return
    if not rows:
        click.echo("nothing in the queue matches" if which else "the queue is empty")
        return
    table.show(
        ("ID", "AGE", "SIZE", "STATE", "NEXT", "TRIES", "FROM", "TO", "LAST REPLY"),
        map(_cells, rows),
        right=("AGE", "SIZE", "TRIES"),
    )
    more = f"; there may be more: --limit {limit * 10}" if len(rows) == limit else ""
    click.echo(f"{_count(rows)}{more}")


@command(group=queue, name="show", example="notqmail queue show 1K8FQ2M4XW7Z0", records=True)
@click.argument("id", metavar="ID")
def show(config: Path, as_json: bool, id: str) -> None:
    """Show one message: its envelope, and how it stands with each recipient."""
    record: Row = server.ask(load(config), "queue_show", {"id": id})
    if as_json:
        table.show_json([record])
        return
    facts = [
        ("id", record["id"]),
        ("from", f"<{record['sender']}>"),
        ("accepted", f"{table.moment(record['born'])} ({table.age(record['born'])} ago)"),
        ("size", table.size(record["size"])),
        *((name, record[name]) for name in ("login", "envid", "ret", "body") if record[name]),
    ]
    for name, value in facts:
        click.echo(f"{name + ':':10}{table.clean(str(value))}")
    click.echo()
    table.show(
        ("TO", "BY", "STATE", "NEXT", "TRIES", "LAST REPLY"),
        [
            (
                each["recipient"],
                each["destination"],
                each.get("state", "active"),
                _next(each),
                each.get("attempts", ""),
                each.get("last_reply", ""),
            )
            for each in record["recipients"]
        ],
        right=("TRIES",),
    )


@command(group=queue, name="cat", example="notqmail queue cat 1K8FQ2M4XW7Z0 > message.eml")
@click.argument("id", metavar="ID")
def cat(config: Path, id: str) -> None:
    """Write a message to standard output as it will be delivered, octet for octet."""
    out = sys.stdout.buffer
    server.fetch(load(config), "queue_cat", {"id": id}, out.write)
    out.flush()


def _add_action(action: str, about: str, example: str) -> None:
    """Make one of the commands that change the queue."""

    @command(group=queue, name=action, example=example)
    @click.argument("ids", metavar="[ID...]", nargs=-1)
    @filters
    @click.option("--all", "everything", is_flag=True, help="All there is.")
    @click.option("--yes", is_flag=True, help="Do not ask.")
    def act(config: Path, ids: tuple[str, ...], everything: bool, yes: bool, **given: Any) -> int:
        which = filter_of(**given)
        if not (ids or which or everything):
            raise click.UsageError(
                f"Nothing says which messages to {action}: name IDs, a filter or --all."
            )
        settings = load(config)
        wanted = [{**which, "id": id} for id in ids] or [which]
        rows = [row for each in wanted for row in _find(settings, each)]
        if not rows:
            raise RefusedError("nothing in the queue matches")
        if action == "delete" or len({row["id"] for row in rows}) > 1:
            _confirm(f"{action} {_count(rows)}", yes)
        everywhere = {"all": True} if everything and not which else {}
        results = [
            server.ask(settings, f"queue_{action}", {**each, **everywhere}) for each in wanted
        ]
        done = [row for result in results for row in result["done"]]
        busy = [row for result in results for row in result["busy"]]
        click.echo(f"{_PAST[action]}: {_count(done)}")
        if busy:
            click.echo(f"being delivered at this moment, and left alone: {_count(busy)}")
        return 0 if done else 1

    act.help = about


def _find(settings: Config, which: Filter) -> Sequence[Row]:
    rows: Sequence[Row] = server.ask(settings, "queue_list", {**which, "limit": COUNT_LIMIT})
    return rows


_add_action(
    "retry",
    "Try to deliver again now, instead of when it is due.",
    "notqmail queue retry --domain example.net",
)
_add_action(
    "hold", "Make no attempts until released.", "notqmail queue hold --from bob@example.net"
)
_add_action("release", "Take up again what was held.", "notqmail queue release 1K8FQ2M4XW7Z0")
_add_action(
    "delete",
    "Remove recipients from the queue for good. Nobody is told; the message is gone with its last recipient.",
    "notqmail queue delete --from spam@example.net --yes",
)


def _confirm(what: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"This would {what}; add --yes.")
    click.confirm(f"{what}?", abort=True)


def _cells(row: Row) -> Sequence[object]:
    return (
        row["id"],
        table.age(row["born"]),
        table.size(row["size"]),
        row["state"],
        _next(row),
        row["attempts"],
        f"<{row['sender']}>",
        row["recipient"],
        row["last_reply"],
    )


def _next(row: Row) -> str:
    return table.until(row["due"]) if row.get("state") in ("due", "deferred") else ""


def _count(rows: Sequence[Row]) -> str:
    messages = len({row["id"] for row in rows})
    return f"{_plural(len(rows), 'recipient')} of {_plural(messages, 'message')}"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
