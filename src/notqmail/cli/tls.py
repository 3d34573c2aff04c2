"""`notqmail tls`: which domains are held to a valid certificate."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from notqmail.cli import table
from notqmail.cli.command import RefusedError, command
from notqmail.cli.server import as_owner
from notqmail.config import Config, load
from notqmail.delivery.tls_memory import FILE, TlsMemory
from notqmail.delivery.tls_operations import operations
from notqmail.queue.operations import OperationError
from notqmail.store.lock import DataLock
from notqmail.system.clock import SystemClock
from notqmail.system.control import AnsweredNoError, ServerDownError, call

Row = Mapping[str, Any]


@click.group(epilog="\b\nExample:\n  notqmail tls forget example.net")
def tls() -> None:
    """Domains that have shown a valid certificate, and are held to it: mail for them waits rather than go out with
    less."""


@command(group=tls, name="list", example="notqmail tls list", records=True)
def list_(config: Path, as_json: bool) -> None:
    """List the domains, with the host that showed a valid certificate and how long that counts."""
    rows: Sequence[Row] = _ask(load(config), "tls_list", {})
    if as_json:
        table.show_json(rows)
    elif rows:
        cells = [(row["domain"], table.moment(row["until"]), row["host"]) for row in rows]
        table.show(("DOMAIN", "UNTIL", "HOST"), cells)
    else:
        click.echo("no domain has shown a valid certificate yet")


@command(group=tls, name="forget", example="notqmail tls forget example.net")
@click.argument("domain", metavar="DOMAIN")
def forget(config: Path, domain: str) -> None:
    """Hold a domain to nothing, until it shows a valid certificate again.

    For the domain that has changed to a certificate nobody can verify and means to keep it. Mail that waits for it goes at its
    next attempt (notqmail queue retry --domain DOMAIN).
    """
    done: Row = _ask(load(config), "tls_forget", {"domain": domain})
    click.echo(f"{done['domain']}: forgotten")


def _ask(settings: Config, op: str, args: Row) -> Any:
    try:
        return call(settings.data / "control.sock", op, args)
    except AnsweredNoError as no:
        raise RefusedError(str(no)) from None
    except ServerDownError:
        return _by_hand(settings, op, args)


def _by_hand(settings: Config, op: str, args: Row) -> Any:
    """Do it on the file, while no server can."""
    with as_owner(settings.data):
        lock = DataLock.acquire(settings.data)
        try:
            outbound = settings.outbound
            memory = TlsMemory(
                SystemClock(),
                settings.data / FILE,
                lifetime=outbound.tls_memory,
                domains=outbound.tls_memory_domains,
            )
            result = asyncio.run(_perform(memory, op, args))
        except OperationError as no:
            raise RefusedError(str(no)) from None
        finally:
            lock.release()
    return result


async def _perform(memory: TlsMemory, op: str, args: Row) -> Any:
    try:
        return await operations(memory)[op](args)
    finally:
        await memory.close()
