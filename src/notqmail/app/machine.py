"""The world as it is on a real machine: SQLite and Maildirs, aiodns, sockets for programs and for the browser."""

import asyncio
import contextlib
import random
from collections.abc import Mapping
from typing import Any

from notqmail.app.rules import is_us
from notqmail.app.server import GRACE, Server
from notqmail.app.world import Later
from notqmail.config import Config
from notqmail.delivery.maildir import MaildirTransport
from notqmail.delivery.ownership import check_ownership, current_ids
from notqmail.delivery.remote import RemoteTransport
from notqmail.mail.errors import ConfigError
from notqmail.mail.idn import canonical_domain
from notqmail.ports import Transport
from notqmail.store.sqlite import SqliteStore
from notqmail.system import drop
from notqmail.system.accounts import TextDirectory
from notqmail.system.addresses import is_ours
from notqmail.system.clock import SystemClock
from notqmail.system.control import ControlServer
from notqmail.system.descriptors import open_files
from notqmail.system.dns import AiodnsResolver
from notqmail.system.drop import DropDirectory
from notqmail.system.inject import InjectServer
from notqmail.system.journal import SqliteJournal
from notqmail.system.offload import ThreadPool
from notqmail.system.sending import SqliteSending
from notqmail.web.lag import watch_lag
from notqmail.web.server import Web

BLOB_THREADS = 4


class Machine:
    """world.World."""

    is_ours = staticmethod(is_ours)
    open_files = staticmethod(open_files)

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.random = random.Random()  # noqa: S311  no secret, says the port

    def directory(self, config: Config) -> TextDirectory:
        return TextDirectory(config, self.clock)

    def journal(self, config: Config) -> SqliteJournal:
        return SqliteJournal(config.data / "journal.sqlite", config.journal, self.clock)

    def sending(self, config: Config) -> SqliteSending:
        return SqliteSending(config.data / "sending.sqlite", self.clock)

    async def store(self, config: Config) -> SqliteStore:
        return await SqliteStore.start(config.data, config.queue, self.clock)

    async def transports(self, config: Config, later: Later) -> Mapping[str, Transport]:
        clock, hostname = self.clock, canonical_domain(config.hostname)
        offload = ThreadPool(BLOB_THREADS)
        later(offload.close)
        resolver = AiodnsResolver(config.dns, clock)
        later(resolver.close)
        check_ownership(config.mailbox, *current_ids())
        local = MaildirTransport(config.data, config.mailbox, hostname, clock, offload)
        later(local.close)
        us = is_us(config, is_ours)
        remote = RemoteTransport(config.outbound, hostname, resolver, clock, self.random, us)
        later(remote.close)
        return {"local": local, "smtp": remote}

    async def doors(self, server: Server, later: Later) -> None:
        await _open_local(server, later)
        await _open_web(server, later)


async def _open_local(server: Server, later: Later) -> None:
    """The doors for programs of this machine: control, injection, the drop directory."""
    config = server.rules.config

    async def reload(args: Mapping[str, Any]) -> Any:
        return {"restart": list(await server.reload())}

    table = {**server.operations.table, **server.holds.table, "reload": reload}
    control = ControlServer(config.data / "control.sock", table, config.local)
    await control.start()
    later(control.stop, 1.0)
    inject = InjectServer(config.data / "inject.sock", server.submit, config.hostname, config.local)
    await inject.start()
    later(inject.stop, GRACE)
    await asyncio.to_thread(drop.prepare, config.data)
    dropped = DropDirectory(config.data, server.submit, config.hostname, config.local)
    later(_cancel, asyncio.create_task(dropped.run(), name="drop"))


async def _open_web(server: Server, later: Later) -> None:
    """Metrics and health."""
    metrics, store, journal = server.metrics, server.store, server.journal
    metrics.watch(
        "notqmail_queue_recipients", "Recipients in the queue.", store.counts, label="state"
    )
    metrics.watch(
        "notqmail_sessions",
        "Open SMTP sessions.",
        lambda: {name: len(each.registry) for name, each in server.listeners.items()},
        label="listener",
    )
    metrics.watch(
        "notqmail_held_total",
        "Messages taken and held, because their account has sent too much.",
        lambda: server.intake.held,
        total=True,
    )
    metrics.watch("notqmail_tasks", "Tasks of the event loop.", lambda: len(asyncio.all_tasks()))
    metrics.watch(
        "notqmail_journal_dropped_total",
        "Journal records dropped under pressure.",
        lambda: journal.dropped,
        total=True,
    )
    config = server.rules.config
    web = Web(config.web.bind, server.health, metrics.registry, metrics.refresh)
    try:
        await web.start()
    except OSError as error:
        raise ConfigError(
            f"{config.path}: web.bind", error.strerror or str(error), "choose a free port"
        ) from None
    later(web.stop)
    later(_cancel, asyncio.create_task(watch_lag(server.clock, metrics.lagged), name="lag"))


async def _cancel(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
