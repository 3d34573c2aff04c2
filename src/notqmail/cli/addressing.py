"""Addresses and domains as arguments of commands."""

from collections.abc import Iterable

import click

from notqmail.cli.command import RefusedError
from notqmail.config import Config
from notqmail.mail.address import Address
from notqmail.mail.errors import AddressError
from notqmail.mail.idn import canonical_domain


class AddressType(click.ParamType[Address]):
    """An address with a domain."""

    name = "address"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        try:
            address = value if isinstance(value, Address) else Address.parse(str(value))
        except AddressError as error:
            self.fail(f"{value!r}: {error}.", param, ctx)
        if not address.domain:
            self.fail(f"{value!r} has no domain: write local@domain.", param, ctx)
        return address


class DomainType(click.ParamType[str]):
    """A domain, given as U-labels or A-labels; the value is its A-label form."""

    name = "domain"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        try:
            return canonical_domain(str(value))
        except AddressError as error:
            self.fail(f"{error}.", param, ctx)


ADDRESS = AddressType()
DOMAIN = DomainType()


def require_domains(settings: Config, domains: Iterable[str]) -> None:
    """Raise RefusedError when mail for one of these domains does not end here."""
    for domain in domains:
        if domain not in settings.domains:
            raise RefusedError(
                f"{domain} is not a domain of this server; first: notqmail domain add {domain}"
            )
