"""`notqmail init`: a new installation."""

import shlex
import socket
from collections.abc import Sequence
from pathlib import Path

import click

from notqmail.cli import passwords
from notqmail.cli.addressing import ADDRESS, DOMAIN
from notqmail.cli.command import command
from notqmail.cli.home import SERVER_USER, Home, server_user
from notqmail.cli.records import zone_lines
from notqmail.config import Argon2
from notqmail.mail.address import Address

DEV_BASE = 2000
PORTS = {"mx": 25, "submissions": 465, "submission": 587}
WEB = 80


@command(
    example="notqmail init mail --hostname mx.example.org --domain example.org "
    "--user alice@example.org --dev",
    configured=False,
)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--hostname", metavar="H", type=DOMAIN, required=True, help="Our name, as in mx.example.org."
)
@click.option(
    "--domain",
    "domains",
    metavar="D",
    type=DOMAIN,
    required=True,
    multiple=True,
    help="A domain whose mail ends here; may be repeated.",
)
@click.option(
    "--user",
    "users",
    metavar="ADDR",
    type=ADDRESS,
    multiple=True,
    help="A mailbox to begin with; may be repeated. The first gets postmaster's mail.",
)
@passwords.password_file
@click.option(
    "--dev",
    is_flag=True,
    help="For trying out: loopback only, high ports, a self-signed certificate.",
)
@click.option(
    "--port-base",
    metavar="N",
    type=click.IntRange(1, 65535 - max(PORTS.values())),
    help=f"With --dev, ports are N+25, N+465, N+587 and, for metrics, N+80.  [default: {DEV_BASE}]",
)
def init(  # noqa: PLR0917  an argument for each option, named by click
    directory: Path,
    hostname: str,
    domains: tuple[str, ...],
    users: tuple[Address, ...],
    password_file: str | None,
    dev: bool,
    port_base: int | None,
) -> None:
    """Make DIR with a configuration, accounts, keys and a place for data.

    It prints the DNS records to publish and what to do next. Passwords are made up and printed once, unless
    --password-file gives one for all users. Nothing is ever overwritten.
    """
    if "." not in hostname:
        raise click.UsageError(
            f"{hostname!r} is not fully qualified: write it like mx.example.org."
        )
    if port_base is not None and not dev:
        raise click.UsageError("--port-base is for --dev; elsewhere edit `bind` in notqmail.toml.")
    for address in users:
        if address.domain not in domains:
            raise click.UsageError(
                f"{address} is in none of the domains: add --domain {address.domain}."
            )
    password = passwords.choose(password_file) if password_file is not None else None
    secrets = {address: passwords.made(password, Argon2()) for address in users}
    base = DEV_BASE if port_base is None else port_base
    home = Home(
        directory=directory,
        hostname=hostname,
        domains=tuple(dict.fromkeys(domains)),
        accounts={address: hashed for address, (hashed, _) in secrets.items()},
        binds={
            kind: _everywhere("127.0.0.1", "::1", base + port)
            if dev
            else _everywhere("0.0.0.0", "::", port)  # noqa: S104  a mail server is for everybody
            for kind, port in PORTS.items()
        },
        web=_everywhere("127.0.0.1", "::1", base + WEB if dev else 8025),
        dev=dev,
        user="" if dev else server_user(),
    )
    home.make()
    click.echo(f"made {directory}/notqmail.toml and what it names")
    for address, (_, made_up) in secrets.items():
        passwords.tell(address, made_up)
    _tell_records(home)
    _tell_next(home, base)


def _everywhere(ipv4: str, ipv6: str, port: int) -> Sequence[str]:
    """Give a port on both protocols, where this machine has both."""
    both = (f"{ipv4}:{port}", f"[{ipv6}]:{port}")
    return both if _has_ipv6() else both[:1]


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _tell_records(home: Home) -> None:
    click.echo("\nDNS records to publish before mail comes from outside:\n")
    for line in zone_lines(home.hostname, home.domains):
        click.echo(f"  {line}")
    click.echo(
        f"\nThe PTR record of each address should name {home.hostname}. DKIM and DMARC records come with a later "
        "version, when mail is signed."
    )


def _tell_next(home: Home, base: int) -> None:
    config = shlex.quote(str(home.directory / "notqmail.toml"))
    click.echo("\nNext:\n")
    if not home.accounts:
        click.echo(f"  notqmail user add postmaster@{home.domains[0]} -c {config}")
    click.echo(f"  notqmail serve -c {config}")
    if home.dev:
        to = next(iter(home.accounts), f"postmaster@{home.domains[0]}")
        click.echo(f"  swaks --to {to} --server 127.0.0.1:{base + PORTS['mx']}")
        click.echo(
            f"  swaks --from {to} --to {to} --server 127.0.0.1:{base + PORTS['submission']} --tls --auth-user {to}"
        )
        return
    if not home.has_certbot:
        click.echo(
            "\nThe certificate in tls/ is self-signed: programs will warn of it. Get one that they trust, and name it in\n"
            "[[tls.certificate]] of notqmail.toml; docs/how-to/certificates.md shows how."
        )
    if not home.user:
        click.echo(
            f'\nStarted as root it needs a user to become: useradd --system {SERVER_USER}, and user = "{SERVER_USER}" '
            "in the configuration."
        )
