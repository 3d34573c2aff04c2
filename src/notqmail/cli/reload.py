"""`notqmail reload`."""

from pathlib import Path

import click

from notqmail.cli.command import command
from notqmail.config import load
from notqmail.system.control import call


@command(example="notqmail reload")
def reload(config: Path) -> None:
    """Let the running server take over its changed configuration.

    It does so only when the new one is valid, and drops no session; what needs a restart is named. The users and
    aliases files need no reload: the server notices.
    """
    result = call(load(config).data / "control.sock", "reload", {})
    click.echo("reloaded")
    for key in result["restart"]:
        click.echo(f"a change of {key} needs a restart")
