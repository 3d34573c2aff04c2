"""The queue and the bans opened by a command when no server runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from notqmail.app.machine import BANS, Machine
from notqmail.app.rules import make_rules
from notqmail.config import Config
from notqmail.policy.login_guard import LoginGuard
from notqmail.policy.reference import References
from notqmail.queue.holds import Holds
from notqmail.queue.operations import Operation, Operations
from notqmail.store.lock import DataLock
from notqmail.system.ban_file import read_bans, write_bans
from notqmail.system.ban_operations import BanOperations
from notqmail.system.clock import SystemClock


@contextlib.asynccontextmanager
async def offline_operations(config: Config) -> AsyncIterator[Mapping[str, Operation]]:
    """What the command line does to the queue when no server runs, by name. Raises ConfigError when one does."""
    machine = Machine()
    directory = await asyncio.to_thread(machine.directory, config)
    reference = References(machine.clock.now)
    rules = make_rules(config, directory, machine.clock, reference, machine.is_ours)
    async with contextlib.AsyncExitStack() as undo:
        store = await machine.store(config)
        undo.push_async_callback(store.close)
        journal = machine.journal(config)
        undo.push_async_callback(journal.close)
        sending = machine.sending(config)
        undo.push_async_callback(sending.close)
        operations = Operations(store, journal, rules.router, machine.clock)
        yield {**operations.table, **Holds(sending, store, operations).table}


@contextlib.asynccontextmanager
async def offline_bans(config: Config) -> AsyncIterator[Mapping[str, Operation]]:
    """What the command line does to the bans when no server runs. Raises ConfigError when one does."""
    path, changed = config.data / BANS, asyncio.Event()
    lock = await asyncio.to_thread(DataLock.acquire, config.data)
    try:
        guard = LoginGuard(config.auth.ban, SystemClock())
        guard.restore(await asyncio.to_thread(read_bans, path))
        guard.changed = changed.set
        yield BanOperations(guard).table
        if changed.is_set():
            await asyncio.to_thread(write_bans, path, guard.kept())
    finally:
        lock.release()
