"""Where a command takes a password from: a file, the terminal, or nowhere, and then one is made up and told once."""

import sys
from pathlib import Path

import click

from notqmail.config import Argon2
from notqmail.mail.errors import NotqmailError
from notqmail.system.passwords import MAX_PASSWORD, Secrets, generate, make_secrets
from notqmail.system.scram_text import ScramText


class PasswordError(NotqmailError):
    """There is no usable password; the text says what to do."""


password_file = click.option(
    "--password-file",
    metavar="FILE",
    help='The password is the first line of this file; "-" is standard input.',
)


def choose(given: str | None) -> str | None:
    """Give the password of `--password-file`, or what is typed; None means that one is to be made up."""
    if given is not None:
        return _from_file(given)
    if not sys.stdin.isatty():
        return None
    typed: str = click.prompt(
        "Password (empty: make one up)",
        default="",
        show_default=False,
        hide_input=True,
        confirmation_prompt="The same again",
    )
    return typed or None


def made(password: str | None, cost: Argon2, like: ScramText | None = None) -> tuple[Secrets, str]:
    """Hash a password, with the salt of `like`; the second value is the password when it had to be made up, to be told
    once."""
    chosen = generate() if password is None else password
    try:
        return make_secrets(chosen, cost, like), "" if password is not None else chosen
    except ValueError as error:
        raise PasswordError(f"{error}; choose another") from None


def tell(address: object, password: str) -> None:
    """Print a password that was made up; it is nowhere else."""
    if password:
        click.echo(f"password of {address}: {password}   (shown only now)")


def _from_file(name: str) -> str:
    try:
        with click.open_file(name, "rb") if name == "-" else Path(name).open("rb") as file:
            line = file.readline(MAX_PASSWORD + 2)
        text: str = line.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        raise PasswordError(f"{name}: {error.strerror}; name a readable file") from None
    except UnicodeDecodeError:
        raise PasswordError(f"{name}: the password is not UTF-8; save it as UTF-8") from None
    if not text:
        raise PasswordError(f"{name}: the first line is empty; write the password there")
    return text
