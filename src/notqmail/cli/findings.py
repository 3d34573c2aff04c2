"""What is wrong with an installation, found without starting it: each finding with file, key path and remedy."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from notqmail.app.rules import make_rules
from notqmail.cli.certificate_findings import examine_certificates
from notqmail.cli.finding import Finding, Level
from notqmail.cli.outbound_findings import examine_outbound
from notqmail.config import Config, Listen, endpoint, load
from notqmail.mail.errors import ConfigError
from notqmail.policy.one_address import REMEDY, OneAddress
from notqmail.policy.reference import References
from notqmail.queue.resolution import Kind, Resolution
from notqmail.queue.route import Router
from notqmail.system import accounts_edit, privileges
from notqmail.system.accounts import TextDirectory
from notqmail.system.addresses import is_ours
from notqmail.system.clock import SystemClock
from notqmail.system.journal_file import latest
from notqmail.system.privileges import Identity

RECORDS = 1000  # of the journal that are looked at


def examine(path: Path) -> Iterator[Finding]:
    """Yield what is wrong with the installation that a configuration file describes."""
    try:
        settings = load(path)
    except ConfigError as error:
        yield Finding.of(error, path)
        return
    yield from _environment(settings)
    for fatal, *found in examine_outbound(settings, is_ours):
        yield Finding(Level.ERROR if fatal else Level.WARNING, *found)
    clock = SystemClock()
    yield from examine_certificates(settings, _user(settings), clock.now())
    try:
        directory = TextDirectory(settings, clock)
        reference = References(clock.now)
        router = make_rules(settings, directory, clock, reference, is_ours).router
    except ConfigError as error:
        yield Finding.of(error, path)
        return
    yield from _domains(settings)
    yield from _postmaster(settings, router)
    yield from _aliases(settings, router)
    yield from _hidden_clients(settings)


def _user(settings: Config) -> Identity | None:
    """Whom the server becomes; None where that cannot be said, which `_environment` does."""
    with suppress(ConfigError):
        return privileges.identity(settings)
    return None


def _environment(settings: Config) -> Iterator[Finding]:
    """Whether the process may become its user and write its data. Ports are not tried: they may be in use by the
    server that runs."""
    try:
        privileges.identity(settings)
    except ConfigError as error:
        yield Finding.of(error, Path(settings.path))
    place = settings.data
    while not place.exists():
        place = place.parent
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        yield Finding(
            Level.ERROR,
            settings.path,
            "data_dir",
            f"{place} cannot be written",
            "give it to the user the server runs as, or run this as that user",
        )


def _hidden_clients(settings: Config) -> Iterator[Finding]:
    """Whether the clients of late seem to come from one private address."""
    try:
        records = latest(settings.data / "journal.sqlite", RECORDS)
    except (OSError, sqlite3.Error):
        return  # a journal that cannot be read is not this finding's to tell
    for i, listen in enumerate(settings.listen):
        clients = OneAddress(listen.name)
        for record in records if _reachable(listen) else ():
            if record.get("listener") == listen.name:
                clients.connected(record.get("ip", ""))
        if problem := clients.finding():
            yield Finding(Level.WARNING, settings.path, f"listen[{i}].proxy", problem, REMEDY)


def _reachable(listen: Listen) -> bool:
    hosts = [endpoint(bind).host for bind in listen.bind]
    return not all(privileges.is_loopback(host) for host in hosts)


def _domains(settings: Config) -> Iterator[Finding]:
    if not settings.domains and settings.listen:
        yield Finding(
            Level.WARNING,
            settings.path,
            "domain",
            "no domain is ours: all mail from outside is refused",
            "notqmail domain add DOMAIN",
        )


def _postmaster(settings: Config, router: Router) -> Iterator[Finding]:
    if not settings.domains:
        return
    if not settings.postmaster:
        yield Finding(
            Level.WARNING,
            settings.path,
            "postmaster",
            "nobody is named to get mail for postmaster and abuse",
            f'postmaster = "you@{settings.domains[0]}"',
        )
    elif not router.resolve(router.postmaster).accepts:
        yield Finding(
            Level.WARNING,
            settings.path,
            "postmaster",
            f"there is no mailbox {router.postmaster}",
            f"notqmail user add {router.postmaster}",
        )


def _aliases(settings: Config, router: Router) -> Iterator[Finding]:
    for name, targets in accounts_edit.list_aliases(Path(settings.aliases)):
        domain = name.rpartition("@")[2]
        remedy = f"edit the line, or notqmail alias remove {name}"
        if domain not in settings.domains:
            yield _alias(settings, name, f"{domain} is not ours", f"notqmail domain add {domain}")
            continue
        for target in targets:
            nodes = list(_nodes(router.resolve(target)))
            too_much = next((node.reply for node in nodes if node.kind in _TOO_MUCH), None)
            if nodes[0].kind is Kind.UNKNOWN:
                yield _alias(settings, name, f"there is no mailbox {target}", remedy)
            elif any(node.entry == name for node in nodes):
                yield _alias(settings, name, "the alias leads back to itself", remedy)
            elif too_much is not None:
                yield _alias(settings, name, too_much.text, remedy)


_TOO_MUCH = (Kind.TOO_DEEP, Kind.TOO_MANY)


def _nodes(resolution: Resolution) -> Iterator[Resolution]:
    yield resolution
    for child in resolution.children:
        yield from _nodes(child)


def _alias(settings: Config, name: str, problem: str, remedy: str) -> Finding:
    return Finding(Level.WARNING, settings.aliases, name, problem, remedy)
