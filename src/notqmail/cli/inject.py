"""`notqmail inject`: send a message from standard input."""

import sys
from pathlib import Path
from typing import get_args

import click

from notqmail.cli.command import RefusedError, command
from notqmail.cli.submission import NotAcceptedError, Wanted, submit
from notqmail.config import load
from notqmail.mail.envelope import Ret
from notqmail.system.submission import NotifyWord


@command(example="notqmail inject -f alice@example.org bob@example.net < message.eml")
@click.option(
    "-f",
    "sender",
    metavar="SENDER",
    help='The envelope sender, "" for none.  [default: your login name at our host name]',
)
@click.option("-t", "from_header", is_flag=True, help="To, Cc and Bcc name recipients too.")
@click.option("-F", "name", metavar="NAME", default="", help="Your name, where From is missing.")
@click.option(
    "--notify",
    type=click.Choice(get_args(NotifyWord), case_sensitive=False),
    multiple=True,
    help="What to be told of; may be repeated (RFC 3461).",
)
@click.option(
    "--ret",
    type=click.Choice(Ret, case_sensitive=False),
    help="How much of the message a failure report returns.",
)
@click.option("--envid", metavar="ID", help="What reports shall call this message.")
@click.argument("recipients", metavar="[RCPT]...", nargs=-1)
def inject(  # noqa: PLR0917  an argument for each option, named by click
    config: Path,
    sender: str | None,
    from_header: bool,
    name: str,
    notify: tuple[NotifyWord, ...],
    ret: Ret | None,
    envid: str | None,
    recipients: tuple[str, ...],
) -> None:
    """Send a message from standard input.

    Without RCPT the recipients are those of To, Cc and Bcc. Missing Date, Message-ID and From are added, Bcc is
    removed. When no server runs, the message waits for its start. Status 1 when the server refuses it.
    """
    wanted = Wanted(
        recipients,
        sender=sender,
        from_header=from_header or not recipients,
        name=name,
        notify=notify or None,
        ret=ret,
        envid=envid,
    )
    reply = submit(load(config), wanted, sys.stdin.buffer)
    if reply.permanent:
        raise RefusedError(f"refused: {reply}")
    if not reply.positive:
        raise NotAcceptedError(f"not taken now: {reply}")
    click.echo(reply.text)
