"""The command line. One module per group of commands, imported when it is called, so that `--help` is quick.

Every command ends with status 0 (ok), 1 (the answer is no) or 2 (usage, or the environment does not allow it), and says
what is wrong on stderr in one sentence. A command returns its status; None is 0.
"""

import contextlib
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

import click

from notqmail.cli.command import RefusedError, debugging
from notqmail.mail.errors import NotqmailError


class Where(NamedTuple):
    """Where a command is, and what `--help` of its group says about it."""

    place: str  # module:function
    about: str


COMMANDS = {
    "init": Where("init:init", "Make a directory with a configuration, accounts and keys."),
    "serve": Where("serve:serve", "Run the server, in the foreground."),
    "check": Where("check:check", "Check the configuration and the files it names."),
    "user": Where("user:user", "Mailboxes: add, remove, list, passwd, app-password."),
    "alias": Where("alias:alias", "Aliases: add, remove, list."),
    "domain": Where("domain:domain", "The domains whose mail ends here: add, remove, list."),
    "auth": Where("auth:auth", "Logging in: check."),
    "queue": Where("queue:queue", "Messages that wait: list, show, cat, retry, hold, …"),
    "tls": Where("tls:tls", "Domains held to a valid certificate: list, forget."),
    "why": Where("why:why", "Tell what happened to a message, and why."),
    "resolve": Where("resolve:resolve", "Show where mail for an address would go."),
    "ban": Where("ban:ban", "Networks that may not log in: list, add, lift."),
    "inject": Where("inject:inject", "Send a message from standard input."),
    "reload": Where("reload:reload", "Let the running server take over its changed configuration."),
}


class LazyGroup(click.Group):
    """The commands of COMMANDS; a module is imported when its command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].place.partition(":")
        command: click.Command = getattr(import_module(f"notqmail.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, where.about) for name, where in COMMANDS.items()])


@click.group(cls=LazyGroup, epilog="\b\nExample:\n  notqmail queue list --domain example.net")
@click.version_option(package_name="notqmail", message="notqmail %(version)s")
def group() -> None:
    """The mail server qmail would be if it were written today.

    `notqmail COMMAND --help` explains a command. Those that need a configuration take `-c FILE`, else
    $NOTQMAIL_CONFIG, ./notqmail.toml or /etc/notqmail/notqmail.toml.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit status."""
    try:
        status = group.main(list(arguments), prog_name="notqmail", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.UsageError as error:
        return _fail(f"{error.format_message()} See `{_called(error)} --help`.")
    except click.ClickException as error:
        return _fail(error.format_message())
    except RefusedError as refusal:
        return _fail(str(refusal), 1)
    except NotqmailError as error:
        return _fail(str(error))
    except (click.Abort, KeyboardInterrupt):
        return _fail("stopped")
    except Exception as error:
        if debugging():
            raise
        return _fail(
            f"unexpected {type(error).__name__}: {error}; run with --debug for the traceback"
        )


def main() -> None:
    """The program `notqmail`."""
    with contextlib.suppress(AttributeError):  # a stream that is no file, in a test
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    sys.exit(run(sys.argv[1:]))


def _fail(sentence: str, status: int = 2) -> int:
    line = " ".join(sentence.split())
    click.echo(f"notqmail: {line}", err=True)
    return status


def _called(error: click.UsageError) -> str:
    return error.ctx.command_path if error.ctx is not None else "notqmail"
