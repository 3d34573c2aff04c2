"""What all commands share: `-c FILE` and how it is found, `--json`, `--debug`, an example in the help."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from notqmail.mail.errors import ConfigError, NotqmailError

F = TypeVar("F", bound=Callable[..., Any])

VARIABLE = "NOTQMAIL_CONFIG"
HERE = Path("notqmail.toml")
SYSTEM = Path("/etc/notqmail/notqmail.toml")
WRITABLE_BY_OTHERS = 0o022


class RefusedError(NotqmailError):
    """The answer is no (exit status 1); the text is one sentence."""


def find_config(given: str | None) -> Path:
    """Say which configuration file is meant. Raises ConfigError.

    One in the current directory counts only when nobody else can have put it there: `cd /tmp; notqmail …` as root
    must not obey whoever was in /tmp before.
    """
    if given is not None:
        return Path(given)
    if named := os.environ.get(VARIABLE):
        return Path(named)
    try:
        found = HERE.stat()
    except OSError:
        return SYSTEM
    if found.st_uid not in (0, os.geteuid()) or stat.S_IMODE(found.st_mode) & WRITABLE_BY_OTHERS:
        raise ConfigError(
            str(HERE.resolve()),
            "somebody else can write it, so it is not used unasked",
            f"if you mean it: -c {HERE}",
        )
    return HERE


def debugging() -> bool:
    """Say whether `--debug` was given."""
    return _debug.on


class _Debug:
    on = False


_debug = _Debug()


def _found(ctx: click.Context, param: click.Parameter, value: str | None) -> Path | None:
    return None if ctx.resilient_parsing else find_config(value)


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    _debug.on = value


def command(
    *,
    example: str,
    group: click.Group | None = None,
    name: str | None = None,
    configured: bool = True,
    records: bool = False,
) -> Callable[[F], click.Command]:
    """Make a function a command, of a `group` under a `name` or alone. `configured`: it takes `-c` and gets `config`,
    a Path; `records`: it takes `--json` and gets `as_json`; `example` is a command line for its help."""

    def decorate(function: F) -> click.Command:
        options = []
        if configured:
            options.append(
                click.option(
                    "-c",
                    "--config",
                    "config",
                    metavar="FILE",
                    callback=_found,
                    help=f"Configuration file.  [default: ${VARIABLE}, ./{HERE}, {SYSTEM}]",
                )
            )
        if records:
            options.append(click.option("--json", "as_json", is_flag=True, help="Print JSON."))
        options.append(
            click.option(
                "--debug",
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=_set_debug,
                help="Show the traceback of an unexpected error.",
            )
        )
        wrapped: Callable[..., Any] = function
        for option in reversed(options):
            wrapped = option(wrapped)
        made = click.command(name, epilog=f"\b\nExample:\n  {example}")(wrapped)
        if group is not None:
            group.add_command(made)
        return made

    return decorate
