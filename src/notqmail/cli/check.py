"""`notqmail check`: would it start, and would mail arrive?"""

from pathlib import Path

import click

from notqmail.cli import table
from notqmail.cli.command import command
from notqmail.cli.finding import Level
from notqmail.cli.findings import examine


@command(example="notqmail check -c /etc/notqmail/notqmail.toml", records=True)
def check(config: Path, as_json: bool) -> int:
    """Check the configuration and the files it names.

    Each finding has its remedy. With an error the server would not start, and the status is 1; a warning is about mail
    that would not arrive.
    """
    findings = sorted(examine(config), key=lambda finding: finding.level is Level.WARNING)
    if as_json:
        table.show_json(finding._asdict() for finding in findings)
    elif findings:
        table.show(("LEVEL", "FILE", "KEY", "PROBLEM", "REMEDY"), findings)
    else:
        click.echo(f"{config}: nothing to complain about")
    return 1 if any(finding.level is Level.ERROR for finding in findings) else 0
