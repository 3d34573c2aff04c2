"""The world as it is on a real machine: SQLite and Maildirs, aiodns, sockets for programs and for the browser."""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

from notqmail.app.doors import Gatekeeper
from notqmail.app.rules import is_us
from notqmail.app.server import GRACE, Server, cancelled
from notqmail.app.sources import anybody_logs_in, open_accounts
from notqmail.app.world import Later
from notqmail.config import Config
from notqmail.delivery.maildir import MaildirTransport
from notqmail.delivery.ownership import check_ownership, current_ids
from notqmail.delivery.remote import RemoteTransport
from notqmail.delivery.tls_memory import FILE, TlsMemory
from notqmail.delivery.tls_operations import operations as tls_operations
from notqmail.mail.errors import ConfigError
from notqmail.mail.idn import canonical_domain
from notqmail.policy.login_guard import LoginGuard
from notqmail.ports import Directory, Transport
from notqmail.store.sqlite import SqliteStore
from notqmail.system import drop
from notqmail.system.accounts import TextDirectory
from notqmail.system.addresses import is_ours
from notqmail.system.ban_file import BanKeeper
from notqmail.system.ban_operations import BanOperations
from notqmail.system.clock import SystemClock
from notqmail.system.control import ControlServer, Operation
from notqmail.system.descriptors import open_files
from notqmail.system.dns import AiodnsResolver
from notqmail.system.drop import DropDirectory
from notqmail.system.inject import InjectServer
from notqmail.system.journal import SqliteJournal
from notqmail.system.kept_secret import SASL, kept_secret
from notqmail.system.offload import ThreadPool
from notqmail.system.sending import SqliteSending
from notqmail.system.server_tls import ServerTls
from notqmail.system.spawn_client import Powers, SpawnClient
from notqmail.web.lag import watch_lag
from notqmail.web.server import Web

BANS = "bans"  # the file of bans, below the data directory
BLOB_THREADS = 4


class Machine:
    """world.World."""

    is_ours = staticmethod(is_ours)
    open_files = staticmethod(open_files)

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.random = random.Random()  # noqa: S311  no secret, says the port
        self._tls: ServerTls | None = None
        self._helper: SpawnClient | None = None

    def directory(self, config: Config) -> TextDirectory:
        return TextDirectory(config, self.clock)

    def prepare(self, config: Config) -> None:
        """Do what needs rights that are given up later: read the keys of the certificates, start the spawn helper.
        Blocks; raises ConfigError."""
        self._tls = ServerTls(config, self.clock) if config.tls.certificate else None
        powers = Powers.of(config)
        if powers and anybody_logs_in(config):
            self._helper = SpawnClient.start(powers)

    def tls(self, config: Config) -> ServerTls | None:
        if not config.tls.certificate:
            self._tls = None
        elif self._tls is None:
            self._tls = ServerTls(config, self.clock)
        return self._tls

    async def gatekeeper(
        self,
        config: Config,
        guard: LoginGuard,
        directory: Callable[[], Directory],
        later: Later,
    ) -> Gatekeeper | None:
        if not anybody_logs_in(config):
            return None
        if (helper := self._helper) is not None:
            later(helper.close)
        accounts = await open_accounts(config, directory, helper, later)
        secret = await asyncio.to_thread(kept_secret, config.data / SASL)
        return Gatekeeper(accounts, guard, secret)

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
        self.tls_memory = await asyncio.to_thread(TlsMemory, clock, config.data / FILE)
        remote = await asyncio.to_thread(
            RemoteTransport,
            *(config.outbound, hostname, resolver, clock, self.random, us, self.tls_memory),
        )
        self._remote = remote
        later(remote.close)
        return {"local": local, "smtp": remote}

    async def adopt(self, config: Config) -> None:
        await self._remote.reload(config.outbound)

    async def doors(self, server: Server, later: Later) -> None:
        await _open_local(server, later, tls_operations(self.tls_memory))
        await _open_web(server, later)


async def _open_local(server: Server, later: Later, further: Mapping[str, Operation]) -> None:
    """The doors for programs of this machine: control, injection, the drop directory."""
    config = server.rules.config

    async def reload(args: Mapping[str, Any]) -> Any:
        return {"restart": list(await server.reload())}

    keeper = BanKeeper(config.data / BANS, server.guard)
    await keeper.start()
    later(keeper.stop)
    bans = BanOperations(server.guard)
    table = {
        **server.operations.table,
        **server.holds.table,
        **bans.table,
        **further,
        "reload": reload,
    }
    control = ControlServer(config.data / "control.sock", table, config.local)
    await control.start()
    later(control.stop, 1.0)
    inject = InjectServer(config.data / "inject.sock", server.submit, config.hostname, config.local)
    await inject.start()
    later(inject.stop, GRACE)
    await asyncio.to_thread(drop.prepare, config.data)
    dropped = DropDirectory(config.data, server.submit, config.hostname, config.local)
    later(cancelled, asyncio.create_task(dropped.run(), name="drop"))


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
        "notqmail_bans", "Networks that may not log in.", lambda: len(server.guard.bans())
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
    later(cancelled, asyncio.create_task(watch_lag(server.clock, metrics.lagged), name="lag"))
