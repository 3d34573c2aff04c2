"""Asking the server: over its control socket while it runs, else by the same operations on the store itself."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from notqmail.cli.command import RefusedError
from notqmail.config import Config
from notqmail.queue.operations import OperationError
from notqmail.system.control import AnsweredNoError, ServerDownError, call, stream

Arguments = Mapping[str, Any]


def ask(settings: Config, op: str, args: Arguments) -> Any:
    """Perform an operation of `queue.operations` and give its result; raises RefusedError when the answer is no."""
    try:
        return call(settings.data / "control.sock", op, args)
    except AnsweredNoError as no:
        raise RefusedError(str(no)) from None
    except ServerDownError:
        return _by_hand(settings, op, args, None)


def fetch(settings: Config, op: str, args: Arguments, write: Callable[[bytes], object]) -> None:
    """Perform an operation that gives octets."""
    try:
        for chunk in stream(settings.data / "control.sock", op, args):
            write(chunk)
    except AnsweredNoError as no:
        raise RefusedError(str(no)) from None
    except ServerDownError:
        _by_hand(settings, op, args, write)


def _by_hand(
    settings: Config, op: str, args: Arguments, write: Callable[[bytes], object] | None
) -> Any:
    _become_owner(settings)
    try:
        return asyncio.run(_perform(settings, op, args, write))
    except OperationError as no:
        raise RefusedError(str(no)) from None


async def _perform(
    settings: Config, op: str, args: Arguments, write: Callable[[bytes], object] | None
) -> Any:
    from notqmail import app  # noqa: PLC0415  all of the server: slow, and needed only when none runs

    async with app.offline_operations(settings) as operations:
        result = await operations.table[op](args)
        if write is None or not isinstance(result, AsyncIterator):
            return result
        async for chunk in result:
            write(chunk)
        return None


def _become_owner(settings: Config) -> None:
    """As root, be who owns the data: a file made by root would shut the server out of its own queue."""
    os.umask(0o077)
    if os.geteuid() != 0 or not settings.data.exists():
        return
    owner = settings.data.stat()
    if owner.st_uid != 0:
        os.setgroups([])
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
