"""The queue opened by a command when no server runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from notqmail.app.machine import Machine
from notqmail.app.rules import make_rules
from notqmail.config import Config
from notqmail.policy.reference import References
from notqmail.queue.holds import Holds
from notqmail.queue.operations import Operation, Operations


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
