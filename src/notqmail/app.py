"""The composition root: the only file that names concrete classes, and says in what order they start and stop.

serve      root: limits raised, ports bound, data handed over, user become; then the event loop
Server     one running server: made of parts, started from the store outwards, stopped from the ports inwards
Rules      what a reload replaces: configuration, directory, router and pipelines, together and at once
"""

import asyncio
import contextlib
import gc
import logging
import os
import random
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from msgspec.structs import replace

from notqmail import log
from notqmail.config import Config, Limits, Listen, endpoint, load
from notqmail.delivery.maildir import MaildirTransport
from notqmail.delivery.ownership import check_ownership, current_ids
from notqmail.delivery.remote import RemoteTransport
from notqmail.mail.address import Address
from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Envelope, Recipient
from notqmail.mail.errors import ConfigError, NotqmailError
from notqmail.mail.header import HeaderEdit
from notqmail.mail.hop import Hop
from notqmail.mail.idn import canonical_domain
from notqmail.mail.message import Message
from notqmail.mail.outcome import Outcome
from notqmail.mail.received import injected_field, received_field
from notqmail.mail.reply import Reply
from notqmail.policy.early_talker import EarlyTalker
from notqmail.policy.exempt import Exemptions
from notqmail.policy.header_text import ReadHeader
from notqmail.policy.helo import HeloSyntax
from notqmail.policy.loops import Loops
from notqmail.policy.pipeline import Pipeline
from notqmail.policy.recipients import Recipients
from notqmail.policy.reference import References
from notqmail.policy.relay_guard import RelayGuard
from notqmail.policy.settle import Disagreement
from notqmail.policy.trace import Trace
from notqmail.policy.transaction import Transaction
from notqmail.ports import Clock, Transport
from notqmail.queue.bounce import Reporter
from notqmail.queue.intake import Intake
from notqmail.queue.manager import Manager
from notqmail.queue.operations import Operations
from notqmail.queue.resolution import Resolution
from notqmail.queue.route import Router
from notqmail.queue.submit import LISTENER as LOCAL
from notqmail.queue.submit import Submission
from notqmail.smtpd.listener import Listener, bind
from notqmail.smtpd.service import Service
from notqmail.store.sqlite import SqliteStore
from notqmail.system import descriptors, drop, privileges
from notqmail.system.accounts import TextDirectory
from notqmail.system.addresses import is_our_text, is_ours
from notqmail.system.clock import SystemClock
from notqmail.system.control import ControlServer
from notqmail.system.dns import AiodnsResolver
from notqmail.system.drop import DropDirectory
from notqmail.system.inject import InjectServer
from notqmail.system.journal import SqliteJournal
from notqmail.system.offload import ThreadPool
from notqmail.system.signals import Signals
from notqmail.system.submission import LocalUser
from notqmail.system.systemd import Notifier, take_sockets
from notqmail.web.lag import watch_lag
from notqmail.web.metrics import Metrics
from notqmail.web.server import Web

GRACE = 30.0  # seconds that sessions and attempts have to end in when the server stops
BLOB_THREADS = 4

_log = logging.getLogger("notqmail.app")

# What a running server cannot change: everything else of the configuration is live after a reload.
_FIXED = (
    "hostname", "data_dir", "user", "group", "mailbox", "queue", "outbound", "dns", "web", "local",
    "journal", "log",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rules:
    """What judges and routes mail. `pipelines` by the name of their listener."""

    config: Config
    directory: TextDirectory
    router: Router
    pipelines: Mapping[str, Pipeline]


def make_rules(config: Config, clock: Clock, references: References) -> Rules:
    """Read the files and put the stages of each listener in order. Raises ConfigError."""
    directory = TextDirectory(config, clock)
    router = Router(directory, config, is_ours)
    guard, exempt = RelayGuard(router.is_local), Exemptions(router.is_local)
    trace = Trace(_received_writer(canonical_domain(config.hostname)))

    def pipeline(stages: Sequence[object], budget: float) -> Pipeline:
        return Pipeline(stages, clock, guard, exempt=exempt, reference=references, budget=budget)

    def mx(listen: Listen) -> Pipeline:
        return pipeline(
            [
                EarlyTalker(),
                *([] if listen.helo == "off" else [HeloSyntax(strict=listen.helo == "strict")]),
                Recipients(router.judge),
                ReadHeader(),
                Loops(listen.limits.hops, router.is_local),
                trace,
            ],
            listen.limits.stage_timeout,
        )

    local = pipeline(
        [ReadHeader(), Loops(config.local.hops, router.is_local), trace], Limits().stage_timeout
    )
    return Rules(
        config, directory, router, {LOCAL: local, **{each.name: mx(each) for each in config.listen}}
    )


def _received_writer(hostname: str) -> Any:
    """Give the function that writes our Received field for a transaction."""

    def received(txn: Transaction, message: Message) -> bytes:
        session, recipients = txn.session, txn.recipients
        only = recipients[0].address if len(recipients) == 1 else None
        if only is not None and not (only.ascii or txn.smtputf8):
            only = None
        if session.local_user is not None:
            return injected_field(
                hostname=hostname,
                user=session.local_user,
                id=txn.id,
                at=txn.started,
                recipient=only,
            )
        return received_field(
            helo=session.helo,
            address=session.peer.address,
            rdns=session.peer.name,
            hostname=hostname,
            protocol=txn.protocol,
            id=txn.id,
            at=txn.started,
            recipient=only,
            tls=session.tls,
        )

    return received


def is_us(config: Config) -> Any:
    """Give the test whether a host name or an address is this server as another server would reach it."""
    hostname = canonical_domain(config.hostname)
    ports = {endpoint(where).port for listen in config.listen for where in listen.bind}

    def test(name: str) -> bool:
        if name == hostname:
            return True
        return config.outbound.port in ports and is_our_text(name)

    return test


class Counted:
    """A transport whose outcomes are counted."""

    def __init__(self, transport: Transport, name: str, metrics: Metrics) -> None:
        self._transport, self._name, self._metrics = transport, name, metrics
        self.lane, self.close = transport.lane, transport.close

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        outcomes = await self._transport.deliver(entry)
        for outcome in outcomes:
            self._metrics.delivered(self._name, outcome.action)
        return outcomes


class Server:
    """One running server. `start`, then `run` until it is told to stop, then `stop`."""

    def __init__(self, config: Config) -> None:
        self.clock = SystemClock()
        self.metrics = Metrics()
        self.references = References(self.clock.now)
        self.random = random.Random()  # noqa: S311  order of MX hosts and uniqueness of ids, no secret
        self.rules = make_rules(config, self.clock, self.references)
        self.journal = SqliteJournal(config.data / "journal.sqlite", config.journal, self.clock)
        self.ready = False
        self.listeners: dict[str, Listener] = {}
        self.manager: Manager | None = None
        self._undo = contextlib.AsyncExitStack()

    # Rules come through here, so that a reload replaces them everywhere at once.

    def route(self, recipient: Recipient) -> Sequence[tuple[Recipient, Hop]]:
        return self.rules.router.route(recipient)

    def resolve(self, address: Address) -> Resolution:
        return self.rules.router.resolve(address)

    def on_queue(
        self, txn: Transaction | None, message: Message, id: str
    ) -> Message | Awaitable[Message]:
        """The last edits of the header: by the pipeline it came through; our own reports get their trace alone."""
        if txn is not None:
            return self.rules.pipelines[txn.session.listener].queue(txn, message)
        [recipient] = message.envelope.recipients
        hostname = canonical_domain(self.rules.config.hostname)
        only = recipient.address if recipient.address.ascii else None
        field = injected_field(
            hostname=hostname, user="", id=id, at=self.clock.now(), recipient=only
        )
        edits = (*message.edits, HeaderEdit("prepend", field))
        return Message(message.envelope, message.content, edits, message.marks)

    async def start(self, sockets: Mapping[str, Sequence[socket.socket]]) -> None:
        """Start everything, the ports last. Raises NotqmailError; then everything is stopped again."""
        try:
            await self._start(sockets)
        except BaseException:
            await self.stop()
            raise

    async def _start(self, sockets: Mapping[str, Sequence[socket.socket]]) -> None:
        config, clock, later = self.rules.config, self.clock, self._undo.push_async_callback
        data = config.data
        hostname = canonical_domain(config.hostname)
        self.store = store = await SqliteStore.start(data, config.queue, clock)
        later(store.close)
        later(self.journal.close)
        offload = ThreadPool(BLOB_THREADS)
        later(offload.close)
        resolver = AiodnsResolver(config.dns, clock)
        later(resolver.close)
        check_ownership(config.mailbox, *current_ids())
        local = MaildirTransport(data, config.mailbox, hostname, clock, offload)
        later(local.close)
        remote = RemoteTransport(
            config.outbound, hostname, resolver, clock, self.random, is_us(config)
        )
        later(remote.close)
        transports: Mapping[str, Transport] = {"local": local, "smtp": remote}
        self.intake = Intake(
            self,
            clock,
            self.random,
            on_queue=self.on_queue,
            journal=self.journal,
            committed=self.metrics.committed,
        )
        self.manager = manager = Manager(
            store,
            {name: Counted(t, name, self.metrics) for name, t in transports.items()},
            Reporter(self.intake, clock, self.journal, hostname),
            clock=clock,
            journal=self.journal,
            queue=config.queue,
            postmaster=self.rules.router.postmaster,
        )
        self.intake.on_entries = manager.take
        running = asyncio.create_task(manager.run(), name="manager")
        later(self._stop_manager, manager, running)
        await self._start_local(config)
        await self._start_web(config)
        for listen in config.listen:
            listener = Listener(self.service(listen), sockets[listen.name])
            later(listener.stop, GRACE)
            self.listeners[listen.name] = listener
        for listener in self.listeners.values():
            await listener.serve()
        self.ready = True

    async def _stop_manager(self, manager: Manager, running: "asyncio.Task[None]") -> None:
        await self.intake.wait_accepted()
        await manager.stop(GRACE)
        await running

    async def _start_local(self, config: Config) -> None:
        """The doors for programs of this machine: control, injection, the drop directory."""
        data, later = config.data, self._undo.push_async_callback
        self.operations = Operations(
            self.store, self.journal, self, self.clock, manager=self.manager
        )
        control = ControlServer(data / "control.sock", self._table(), config.local)
        await control.start()
        later(control.stop, 1.0)
        self.submission = Submission(
            self.store, self.intake, self.clock, lambda: self.rules.pipelines[LOCAL]
        )
        inject = InjectServer(data / "inject.sock", self.submit, config.hostname, config.local)
        await inject.start()
        later(inject.stop, GRACE)
        await asyncio.to_thread(drop.prepare, data)
        dropped = DropDirectory(data, self.submit, config.hostname, config.local)
        collecting = asyncio.create_task(dropped.run(), name="drop")
        later(_cancel, collecting)

    async def submit(
        self, user: LocalUser, envelope: Envelope, chunks: AsyncIterator[bytes]
    ) -> Reply:
        """Queue what a program of this machine hands in."""
        reply = await self.submission.submit(user.name, envelope, chunks)
        if reply.positive:
            self.metrics.accepted(LOCAL)
        return reply

    async def _start_web(self, config: Config) -> None:
        metrics = self.metrics
        metrics.watch(
            "notqmail_queue_recipients",
            "Recipients in the queue.",
            self.store.counts,
            label="state",
        )
        metrics.watch(
            "notqmail_sessions",
            "Open SMTP sessions.",
            lambda: {name: len(each.registry) for name, each in self.listeners.items()},
            label="listener",
        )
        metrics.watch(
            "notqmail_journal_dropped_total",
            "Journal records dropped under pressure.",
            lambda: self.journal.dropped,
            total=True,
        )
        web = Web(config.web.bind, self.health, metrics.registry, metrics.refresh)
        try:
            await web.start()
        except OSError as error:
            raise ConfigError(
                f"{config.path}: web.bind", error.strerror or str(error), "choose a free port"
            ) from None
        self._undo.push_async_callback(web.stop)
        watching = asyncio.create_task(watch_lag(self.clock, metrics.lagged), name="lag")
        self._undo.push_async_callback(_cancel, watching)

    def health(self) -> str | None:
        """Say why the server is not ready, or None."""
        if not self.ready:
            return "starting or stopping"
        return self.store.trouble or None

    def service(self, listen: Listen) -> Service:
        """What the sessions of one listener share under the rules in force."""
        return Service(
            listener=listen.name,
            kind=listen.kind,
            hostname=self.rules.config.hostname,
            limits=self._fitting(listen.limits),
            repair_bare_lf=listen.repair_bare_lf,
            greet_delay=listen.greet_delay,
            disagreement=Disagreement(listen.disagreement),
            pipeline=self.rules.pipelines[listen.name],
            store=self.store,
            intake=self.intake,
            journal=self.journal,
            clock=self.clock,
            counts=self.metrics,
            new_id=self.intake.new_id,
            new_ref=self.references,
        )

    def _fitting(self, limits: Limits) -> Limits:
        """As many connections as leave descriptors for everything else."""
        part = descriptors.share(self.rules.config, descriptors.open_files())
        if part == 1.0:
            return limits
        room = max(1, int(limits.connections * part))
        _log.warning(
            "the limit of open files allows fewer connections open_files=%d connections=%d configured=%d remedy=%r",
            descriptors.open_files(),
            room,
            limits.connections,
            "raise it (LimitNOFILE, ulimit -n), or lower listen.limits.connections",
        )
        return replace(limits, connections=room)

    async def reload(self) -> Sequence[str]:
        """Take over the configuration file as it is now, if it is valid: sessions at work keep their rules, new ones
        get the new. Gives what needs a restart. Raises ConfigError, and everything stays as it was."""
        old = self.rules.config
        config = await asyncio.to_thread(load, Path(old.path))
        binds = {listen.name: listen.bind for listen in old.listen}
        kept = tuple(each for each in config.listen if binds.get(each.name) == each.bind)
        restart = [key for key in _FIXED if getattr(config, key) != getattr(old, key)]
        if len(kept) != len(config.listen) or len(kept) != len(old.listen):
            restart.append("listen")
        rules = await asyncio.to_thread(make_rules, config, self.clock, self.references)
        # a listener that is gone from the file serves by its old pipeline until the restart
        self.rules = Rules(
            config, rules.directory, rules.router, {**self.rules.pipelines, **rules.pipelines}
        )
        for listen in kept:
            self.listeners[listen.name].reload(self.service(listen))
        _log.info("reloaded file=%s", config.path)
        for key in restart:
            _log.warning("this change needs a restart key=%s", key)
        return restart

    def _table(self) -> Mapping[str, Any]:
        async def reload(args: Mapping[str, Any]) -> Any:
            return {"restart": list(await self.reload())}

        return {**self.operations.table, "reload": reload}

    async def stop(self) -> None:
        """Stop everything in the opposite order: ports, doors, manager, transports, store."""
        self.ready = False
        for listener in self.listeners.values():
            listener.close()
        await self._undo.aclose()

    def hurry(self) -> None:
        """Who stops the server will not wait: end sessions and attempts now. What is not recorded is as after a
        crash."""
        for listener in self.listeners.values():
            listener.abort()
        if self.manager is not None:
            self._hurried = asyncio.create_task(self.manager.stop(0.0))


async def _cancel(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _run(config: Config, sockets: Mapping[str, Sequence[socket.socket]]) -> None:
    notifier, loop = Notifier.of(), asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()
    server = Server(config)

    async def reload() -> None:
        notifier.reloading()
        try:
            await server.reload()
        except NotqmailError as error:
            _log.error("not reloaded, the old configuration stays error=%r", str(error))
        notifier.ready()

    def on_reload() -> None:
        task = loop.create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    with Signals(on_reload, server.hurry) as signals:
        await server.start(sockets)
        # what lives as long as the server is not worth looking at for garbage again and again
        gc.collect()
        gc.freeze()
        sys.stderr.write("READY\n")  # one write: log lines come from another thread
        sys.stderr.flush()
        notifier.ready("serving")
        await signals.stop.wait()
        notifier.stopping()
        _log.info("stopping")
        await server.stop()


def bind_all(config: Config) -> Mapping[str, Sequence[socket.socket]]:
    """Bind the ports of every listener, but those that systemd has bound for it (a socket unit with the listener's
    name as FileDescriptorName). Raise ConfigError, and none is bound then."""
    bound: dict[str, list[socket.socket]] = {}
    for name, passed in take_sockets():
        bound.setdefault(name, []).append(passed)
    try:
        for index, listen in enumerate(config.listen):
            if listen.name not in bound:
                bound[listen.name] = bind(listen.bind, f"{config.path}: listen[{index}].bind")
    except ConfigError:
        for sock in (sock for sockets in bound.values() for sock in sockets):
            sock.close()
        raise
    return bound


def serve(path: Path) -> int:
    """Serve until told to stop; the exit status. Raises NotqmailError when it cannot start."""
    config = load(path)
    who = privileges.identity(config)
    privileges.raise_open_files()
    sockets = bind_all(config)
    _make_data_directory(config)
    if who is not None:
        privileges.hand_over(config.data, who)
        for accounts in (config.users, config.aliases):
            privileges.let_read(Path(accounts), who)
        privileges.become(who)
        privileges.check_python(who)
    else:
        privileges.harden()
    output = log.setup(config.log.level, config.log.json, config.log.backlog)
    if who is None and os.geteuid() == 0:
        _log.warning("running as root, on loopback only: set `user` before others can reach it")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(config, sockets))
    finally:
        output.stop()
    return 0


def _make_data_directory(config: Config) -> None:
    try:
        # others must reach the injection socket and the drop directory in it, and nothing else
        config.data.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{config.path}: data_dir", f"cannot be made: {error.strerror}", "choose another place"
        ) from None


@contextlib.asynccontextmanager
async def offline_operations(config: Config) -> AsyncIterator[Operations]:
    """What the command line does to the queue when no server runs. Raises ConfigError when one does."""
    clock = SystemClock()
    rules = await asyncio.to_thread(make_rules, config, clock, References(clock.now))
    store = await SqliteStore.start(config.data, config.queue, clock)
    journal = SqliteJournal(config.data / "journal.sqlite", config.journal, clock)
    try:
        yield Operations(store, journal, rules.router, clock)
    finally:
        await journal.close()
        await store.close()
