"""One running server: made of parts, started from the store outwards, stopped from the ports inwards."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from notqmail.app.doors import Gatekeeper, make_doors
from notqmail.app.rules import Rules, make_rules
from notqmail.app.world import World
from notqmail.config import Config, Limits, Listen, endpoint, load
from notqmail.mail.address import Address
from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Envelope, Recipient
from notqmail.mail.errors import ConfigError
from notqmail.mail.header import HeaderEdit
from notqmail.mail.hop import Hop
from notqmail.mail.idn import canonical_domain
from notqmail.mail.message import Message
from notqmail.mail.outcome import Outcome
from notqmail.mail.received import injected_field
from notqmail.mail.reply import Reply
from notqmail.policy.login_guard import LoginGuard
from notqmail.policy.one_address import REMEDY, OneAddress
from notqmail.policy.reference import References
from notqmail.policy.settle import Disagreement
from notqmail.policy.transaction import Transaction
from notqmail.ports import Transport
from notqmail.queue.bounce import Reporter
from notqmail.queue.hold_notices import HoldNotices
from notqmail.queue.holds import Holds
from notqmail.queue.intake import Intake
from notqmail.queue.manager import Manager
from notqmail.queue.operations import Operations
from notqmail.queue.resolution import Resolution
from notqmail.queue.submit import LISTENER as LOCAL
from notqmail.queue.submit import Submission
from notqmail.smtpd.listener import Listener
from notqmail.smtpd.service import Service
from notqmail.system import descriptors, privileges
from notqmail.system.submission import LocalUser
from notqmail.web.metrics import Metrics


async def cancelled(task: "asyncio.Task[Any]") -> None:
    """End a task that would go on for good."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


GRACE = 30.0  # seconds that sessions and attempts have to end in when the server stops

_log = logging.getLogger("notqmail.app")

# What a running server cannot change: everything else of the configuration is live after a reload.
_FIXED = (
    "auth.sources", "auth.dovecot", "auth.checkpassword", "auth.pam", "auth.system", "auth.checks", "auth.waiting", "auth.argon2",
    "hostname", "data_dir", "user", "group", "mailbox", "queue", "dns", "web", "local",
    "journal", "log",
)  # fmt: skip


class Counted:
    """A transport whose outcomes are counted."""

    def __init__(self, transport: Transport, name: str, metrics: Metrics) -> None:
        self._transport, self._name, self._metrics = transport, name, metrics
        self.lane, self.close = transport.lane, transport.close

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        outcomes = await self._transport.deliver(entry)
        for outcome in outcomes:
            self._metrics.delivered(self._name, outcome.action)
            if outcome.tls is not None:
                self._metrics.protected(outcome.tls.level)
        return outcomes


class Server:
    """`start`, then serve until somebody calls `stop`. It is made outside the loop, or in it: nothing waits."""

    def __init__(self, config: Config, world: World) -> None:
        self.world, self.clock = world, world.clock
        self.metrics = Metrics()
        self.references = References(self.clock.now)
        self.guard = LoginGuard(config.auth.ban, self.clock)
        self.tls = world.tls(config)
        self.gatekeeper: Gatekeeper | None = None
        self.sending = world.sending(config)
        self.rules = self._make_rules(config)
        self.journal = world.journal(config)
        self.ready = False
        self.listeners: dict[str, Listener] = {}
        self._seen: dict[str, OneAddress] = {}
        self.manager: Manager | None = None
        self._undo = contextlib.AsyncExitStack()

    def _make_rules(self, config: Config) -> Rules:
        world = self.world
        return make_rules(
            config,
            world.directory(config),
            self.clock,
            self.references,
            world.is_ours,
            sending=self.sending,
        )

    # Rules come through here, so that a reload replaces them everywhere at once.

    def route(
        self, recipient: Recipient, sender: Address | None
    ) -> Sequence[tuple[Recipient, Hop]]:
        return self.rules.router.route(recipient, sender)

    def resolve(self, address: Address, sender: Address | None = None) -> Resolution:
        return self.rules.router.resolve(address, sender)

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
        config, later = self.rules.config, self._undo.push_async_callback
        self.store = await self.world.store(config)
        later(self.store.close)
        later(self.journal.close)
        later(self.sending.close)
        self.transports = await self.world.transports(config, later)
        self._make_queue(config, self.transports)
        self.operations = Operations(
            self.store, self.journal, self, self.clock, manager=self.manager
        )
        self._make_holds(config)
        self.submission = Submission(
            self.store, self.intake, self.clock, lambda: self.rules.pipelines[LOCAL]
        )
        self._watch_tls()
        later(lambda: cancelled(self._watched))
        self.gatekeeper = await self.world.gatekeeper(
            config, self.guard, lambda: self.rules.directory, later
        )
        await self.world.doors(self, later)
        for listen in config.listen:
            listener = Listener(self.service(listen), sockets[listen.name])
            later(listener.stop, GRACE)
            self.listeners[listen.name] = listener
        for listener in self.listeners.values():
            await listener.serve()
        self.ready = True

    def _make_queue(self, config: Config, transports: Mapping[str, Transport]) -> None:
        """The one door in, and the manager behind it, at work."""
        self.intake = Intake(
            self,
            self.clock,
            self.world.random,
            on_queue=self.on_queue,
            journal=self.journal,
            committed=self.metrics.committed,
        )
        self.manager = manager = Manager(
            self.store,
            {name: Counted(t, name, self.metrics) for name, t in transports.items()},
            Reporter(self.intake, self.clock, self.journal, canonical_domain(config.hostname)),
            clock=self.clock,
            journal=self.journal,
            queue=config.queue,
            postmaster=self.rules.router.postmaster,
        )
        self.intake.on_entries = manager.take
        running = asyncio.create_task(manager.run(), name="manager")
        self._undo.push_async_callback(self._stop_manager, manager, running)

    def _make_holds(self, config: Config) -> None:
        """Accounts that send too much, and who is told of them."""
        self.holds = Holds(self.sending, self.store, self.operations, self.intake.wait_begun)
        notices = HoldNotices(
            self.sending,
            self.holds,
            self.store,
            self.intake,
            clock=self.clock,
            journal=self.journal,
            hostname=canonical_domain(config.hostname),
            postmaster=lambda: self.rules.router.postmaster,
        )
        self.sending.on_hold = notices.nudge
        running = asyncio.create_task(notices.run(), name="hold notices")
        self._undo.push_async_callback(_cancel, running)

    async def _stop_manager(self, manager: Manager, running: "asyncio.Task[None]") -> None:
        await self.intake.wait_accepted()
        await manager.stop(GRACE)
        await running

    async def submit(
        self, user: LocalUser, envelope: Envelope, chunks: AsyncIterator[bytes]
    ) -> Reply:
        """Queue what a program of this machine hands in."""
        reply = await self.submission.submit(user.name, envelope, chunks)
        if reply.positive:
            self.metrics.accepted(LOCAL)
        return reply

    def health(self) -> str | None:
        """Say why the server is not ready, or None."""
        if not self.ready:
            return "starting or stopping"
        return self.store.trouble or None

    def service(self, listen: Listen) -> Service:
        """What the sessions of one listener share under the rules in force."""
        config, gatekeeper = self.rules.config, self.gatekeeper
        return Service(
            listener=listen.name,
            kind=listen.kind,
            hostname=config.hostname,
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
            doors=make_doors(listen, config, self.tls),
            met=self._watcher(listen),
            logins=None if gatekeeper is None else gatekeeper.logins(listen, config, self.clock),
        )

    def _watcher(self, listen: Listen) -> Callable[[str], None]:
        """Give what is told the clients of a listener: does a proxy hide them?"""
        if all(privileges.is_loopback(endpoint(where).host) for where in listen.bind):
            return lambda address: None
        seen = self._seen.setdefault(listen.name, OneAddress(listen.name))

        def met(address: str) -> None:
            if (finding := seen.connected(address)) is not None:
                _log.warning("%s remedy=%r", finding, REMEDY)

        return met

    def _fitting(self, limits: Limits) -> Limits:
        """As many connections as leave descriptors for everything else."""
        open_files = self.world.open_files()
        part = descriptors.share(self.rules.config, open_files)
        if part == 1.0:
            return limits
        room = max(1, int(limits.connections * part))
        _log.warning(
            "the limit of open files allows fewer connections open_files=%d connections=%d configured=%d remedy=%r",
            open_files,
            room,
            limits.connections,
            "raise it (LimitNOFILE, ulimit -n), or lower listen.limits.connections",
        )
        return replace(limits, connections=room)

    async def reload(self) -> Sequence[str]:
        """Take over the configuration file as it is now, if it is valid: sessions at work keep their rules, new ones
        get the new. Gives what needs a restart. Raises ConfigError, and everything stays as it was."""
        config = await asyncio.to_thread(load, Path(self.rules.config.path))
        return await self.adopt(config)

    async def adopt(self, config: Config) -> Sequence[str]:
        """Take over a configuration, as `reload` says."""
        old = self.rules.config
        binds = {listen.name: listen.bind for listen in old.listen}
        kept = tuple(each for each in config.listen if binds.get(each.name) == each.bind)
        restart = [key for key in _FIXED if attrgetter(key)(config) != attrgetter(key)(old)]
        if len(kept) != len(config.listen) or len(kept) != len(old.listen):
            restart.append("listen")
        rules = await asyncio.to_thread(self._make_rules, config)
        await self.world.adopt(config)
        try:
            await self._adopt_tls(config)
        except ConfigError:
            await self.world.adopt(old)
            raise
        # a listener that is gone from the file serves by its old pipeline until the restart
        self.rules = Rules(
            config, rules.directory, rules.router, {**self.rules.pipelines, **rules.pipelines}
        )
        self.guard.reload(config.auth.ban)
        for listen in kept:
            self.listeners[listen.name].reload(self.service(listen))
        _log.info("reloaded file=%s", config.path)
        for key in restart:
            _log.warning("this change needs a restart key=%s", key)
        return restart

    async def _adopt_tls(self, config: Config) -> None:
        """Take over certificates, the first ones too; without any TLS is no longer offered to new sessions."""
        if self.tls is None or not config.tls.certificate:
            self._watched.cancel()
            self.tls = await asyncio.to_thread(self.world.tls, config)
            self._watch_tls()
        else:
            await asyncio.to_thread(self.tls.adopt, config)

    def _watch_tls(self) -> None:
        watching = self.tls.watch() if self.tls is not None else asyncio.sleep(0)
        self._watched = asyncio.create_task(watching, name="certificates")

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


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
