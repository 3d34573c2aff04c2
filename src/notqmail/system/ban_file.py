"""The bans on disk: DATA/bans, one JSON object per line, written anew as a whole a moment after a change.

Failures are not kept, only what came of them. A file that cannot be read costs the bans, not the start; one that
cannot be written costs them at the next start.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from notqmail.mail.errors import ConfigError
from notqmail.mail.network import parse_network
from notqmail.policy.login_guard import Ban, LoginGuard
from notqmail.system.replace import replace_text

PAUSE: Final = 1.0  # seconds in which changes gather

_log = logging.getLogger("notqmail.login")


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    network: str
    since: float
    until: float | None
    count: int = 0


_DECODER: Final = msgspec.json.Decoder(_Line)
_ENCODER: Final = msgspec.json.Encoder()


def read_bans(path: Path) -> list[Ban]:
    """Read the file; nothing where there is none. Raises ConfigError."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}", "") from None
    try:
        lines = _DECODER.decode_lines(text)
        return [
            Ban(parse_network(each.network), each.since, each.until, each.count) for each in lines
        ]
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(
            str(path), f"not a list of bans: {error}", "correct it, or remove it and all bans"
        ) from None


def write_bans(path: Path, bans: Iterable[Ban]) -> None:
    """Put a new list in place of the file. Raises ConfigError."""
    lines = [_Line(str(each.network), each.since, each.until, each.count) for each in bans]
    replace_text(path, _ENCODER.encode_lines(lines).decode())


class BanKeeper:
    """Takes the bans of a guard up from the file, and keeps the file as the guard has them."""

    def __init__(self, path: Path, guard: LoginGuard) -> None:
        self._path, self._guard = path, guard
        self._awake, self._stopping = asyncio.Event(), asyncio.Event()
        self._changed = self._failing = False

    async def start(self) -> None:
        """Take them up, and watch from now on."""
        try:
            self._guard.restore(await asyncio.to_thread(read_bans, self._path))
        except ConfigError as error:
            _log.warning("bans are lost why=%r", str(error))
        self._guard.changed = self._note
        self._task = asyncio.create_task(self._run(), name="bans")

    async def stop(self) -> None:
        """Write what is not written yet."""
        self._stopping.set()
        self._awake.set()
        await self._task

    def _note(self) -> None:
        self._changed = True
        self._awake.set()

    async def _run(self) -> None:
        ended = False
        while not ended:
            await self._awake.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAUSE):
                    await self._stopping.wait()
            ended = self._stopping.is_set()
            self._awake.clear()
            if self._changed:
                self._changed = False
                await self._write(self._guard.kept())

    async def _write(self, bans: Iterable[Ban]) -> None:
        try:
            await asyncio.to_thread(write_bans, self._path, bans)
        except ConfigError as error:
            if not self._failing:
                _log.warning("bans cannot be kept why=%r", str(error))
            self._failing = True
        else:
            self._failing = False
