"""`notqmail user app-password`: passwords for one program or device each. It edits the app passwords file."""

from pathlib import Path

import click

from notqmail.auth.saslprep import prepare
from notqmail.cli import passwords, table
from notqmail.cli.addressing import ADDRESS
from notqmail.cli.command import command
from notqmail.config import load
from notqmail.mail.address import Address
from notqmail.mail.network import Network, parse_network
from notqmail.system import accounts_edit, last_use, scram_text
from notqmail.system.app_passwords_text import SUBMISSION, AppPassword, hash_of, is_label
from notqmail.system.auth_users import shared
from notqmail.system.passwords import generate, generated, salting


class NetworkType(click.ParamType[Network]):
    """A network, or one address."""

    name = "network"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Network:
        try:
            return parse_network(str(value))
        except ValueError as error:
            self.fail(f"{error}: write 192.0.2.0/24 or 2001:db8::/32.", param, ctx)


def _label(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not is_label(value):
        raise click.BadParameter(f"{value!r}: write 1 to 64 letters, digits and . _ - + @.")
    return value


@click.group(
    "app-password",
    epilog="\b\nExample:\n  notqmail user app-password add alice@example.org phone",
)
def app_password() -> None:
    """Passwords for one program or device each, revoked one by one. Changes are live without a restart."""


@command(
    group=app_password,
    name="add",
    example="notqmail user app-password add alice@example.org scanner --from scanner@example.org --network 192.0.2.0/24",
)
@click.argument("address", metavar="ADDR", type=ADDRESS)
@click.argument("label", metavar="LABEL", callback=_label)
@click.option(
    "--from", "only_from", metavar="ADDR", type=ADDRESS, help="It may send as this address alone."
)
@click.option(
    "--network",
    "networks",
    metavar="NETWORK",
    type=NetworkType(),
    multiple=True,
    help="It may be used from here alone; may be given several times.",
)
@click.option(
    "--for",
    "purpose",
    type=click.Choice([SUBMISSION]),
    default=None,
    help="It may be used for this alone.",
)
@passwords.password_file
def add(
    config: Path,
    *,
    address: Address,
    label: str,
    only_from: Address | None,
    networks: tuple[Network, ...],
    purpose: str | None,
    password_file: str | None,
) -> None:
    """Make a further password for the mailbox ADDR, named LABEL, and print it once.

    Only hashes of it are kept. A password that is given must be one that notqmail made, here or elsewhere: the hash is
    a fast one, which is safe for what nobody can guess.
    """
    settings = load(config)
    account = accounts_edit.find_user(Path(settings.users), address)
    place = Path(settings.auth.app_passwords)
    password = _chosen(password_file)
    prepared = prepare(password)
    others = accounts_edit.list_app_passwords(place, address)
    salt, iterations = salting(shared(scram_text.read(account.scram), others))
    made = AppPassword(
        account.address,
        label,
        hash_of(prepared, salt),
        scram_text.make(prepared, salt, iterations),
        only_from,
        networks,
        purpose or "",
    )
    accounts_edit.add_app_password(place, made, Path(settings.users))
    click.echo(f"added {label} of {account.address}")
    passwords.tell(f"{account.address}, {label}", "" if password_file is not None else password)


@command(
    group=app_password,
    name="list",
    example="notqmail user app-password list alice@example.org",
    records=True,
)
@click.argument("address", metavar="[ADDR]", type=ADDRESS, required=False)
def list_(config: Path, address: Address | None, as_json: bool) -> None:
    """List the app passwords, of all mailboxes or of one, with their restrictions and last uses."""
    settings = load(config)
    found = accounts_edit.list_app_passwords(Path(settings.auth.app_passwords), address)
    used = last_use.read_last_use(settings.data / last_use.NAME)
    if as_json:
        table.show_json(
            {
                "address": str(each.address),
                "label": each.label,
                "from": str(each.only_from) if each.only_from is not None else None,
                "networks": [str(one) for one in each.networks],
                "for": each.purpose or None,
                "last_use": used.get(each.id),
            }
            for each in found
        )
        return
    rows = [
        (
            each.address.display(),
            each.label,
            each.only_from.display() if each.only_from is not None else "any",
            ", ".join(map(str, each.networks)) or "any",
            each.purpose or "any",
            table.moment(used[each.id]) if each.id in used else "never",
        )
        for each in found
    ]
    table.show(("ADDRESS", "LABEL", "FROM", "NETWORKS", "FOR", "LAST USE"), rows)


@command(
    group=app_password,
    name="remove",
    example="notqmail user app-password remove alice@example.org phone",
)
@click.argument("address", metavar="ADDR", type=ADDRESS)
@click.argument("label", metavar="LABEL")
def remove(config: Path, address: Address, label: str) -> None:
    """Revoke one app password; the others stay."""
    place = Path(load(config).auth.app_passwords)
    accounts_edit.remove_app_password(place, address, label)
    click.echo(f"removed {label} of {address}")


def _chosen(password_file: str | None) -> str:
    if password_file is None:
        return generate()
    given = passwords.choose(password_file)
    if given is None or not generated(given):
        raise passwords.PasswordError(
            "an app password must be one that notqmail made; leave --password-file away, and one is"
        )
    return given
