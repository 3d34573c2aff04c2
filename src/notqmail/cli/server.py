"""Asking the server: over its control socket while it runs, else by the same operations on the store itself."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

from notqmail.cli.command import RefusedError
from notqmail.config import Config
from notqmail.queue.operations import Operation, OperationError
from notqmail.system.control import AnsweredNoError, ServerDownError, call, stream

Arguments = Mapping[str, Any]


Opened = AbstractAsyncContextManager[Mapping[str, Operation]]
"""Operations by name."""


def ask(
    settings: Config, op: str, args: Arguments, by_hand: Callable[[Config], Opened] | None = None
) -> Any:
    """Perform an operation and give its result; raises RefusedError when the answer is no. `by_hand` opens what has it
    when no server runs; else it is one of `queue.operations`."""
    try:
        return call(settings.data / "control.sock", op, args)
    except AnsweredNoError as no:
        raise RefusedError(str(no)) from None
    except ServerDownError:
        return _by_hand(settings, op, args, None, by_hand)


def fetch(settings: Config, op: str, args: Arguments, write: Callable[[bytes], object]) -> None:
    """Perform an operation that gives octets."""
    try:
        for chunk in stream(settings.data / "control.sock", op, args):
            write(chunk)
    except AnsweredNoError as no:
        raise RefusedError(str(no)) from None
    except ServerDownError:
        _by_hand(settings, op, args, write, None)


def _by_hand(
    settings: Config,
    op: str,
    args: Arguments,
    write: Callable[[bytes], object] | None,
    opened: Callable[[Config], Opened] | None,
) -> Any:
    # all of the server: slow, and needed only when none runs
    from notqmail.app.offline import offline_operations  # noqa: PLC0415

    try:
        with as_owner(settings.data):
            return asyncio.run(_perform((opened or offline_operations)(settings), op, args, write))
    except OperationError as no:
        raise RefusedError(str(no)) from None


async def _perform(
    opened: Opened,
    op: str,
    args: Arguments,
    write: Callable[[bytes], object] | None,
) -> Any:
    async with opened as table:
        result = await table[op](args)
        if write is None:
            return result
        async for chunk in result:
            write(chunk)
        return None


@contextmanager
def as_owner(data: Path) -> Iterator[None]:
    """Be who owns the data, as root: a file made by root would shut the server out of its own queue. What is made is
    for the owner alone."""
    umask, groups, gid = os.umask(0o077), os.getgroups(), os.getegid()
    owner = data.stat() if os.geteuid() == 0 and data.exists() else None
    try:
        if owner is not None and owner.st_uid != 0:
            os.setgroups([])
            os.setegid(owner.st_gid)
            os.seteuid(owner.st_uid)
        yield
    finally:
        if owner is not None and owner.st_uid != 0:
            os.seteuid(0)
            os.setegid(gid)
            os.setgroups(groups)
        os.umask(umask)
