"""When each app password was last used: a small JSON file that the server writes and the command line reads."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from notqmail.mail.errors import ConfigError
from notqmail.ports import Offload
from notqmail.system.replace import replace_text

log = logging.getLogger(__name__)

NAME = "app-passwords.used"  # in the data directory
RESOLUTION = 60  # seconds within which a further use is not written


class LastUse:
    """Writes uses by AppPassword.id. Those that come while the file is written are written together after it; what
    cannot be written is logged and lost, since nobody is refused a login for it."""

    def __init__(self, path: Path, offload: Offload) -> None:
        self._path, self._offload = path, offload
        self._noted: dict[str, float] = {}
        self._pending: dict[str, float] = {}
        self._writing = asyncio.Lock()

    async def note(self, id: str, at: float) -> None:
        """Note a use, in wall-clock seconds; done when it is on the disk, or needs not be."""
        if abs(at - self._noted.get(id, float("-inf"))) < RESOLUTION:
            return
        self._noted[id] = self._pending[id] = at
        async with self._writing:
            uses, self._pending = self._pending, {}
            if not uses:  # whoever had the lock before wrote it too
                return
            try:
                await self._offload.run(_add, self._path, uses)
            except ConfigError as error:
                log.warning(
                    "last use of app passwords not written: file=%s error=%r",
                    self._path,
                    error.problem,
                )


def read_last_use(path: Path) -> Mapping[str, float]:
    """Give the last uses; none when the file is not there or is not understood."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, float])
    except (OSError, ValueError):  # msgspec.DecodeError is one
        return {}


def _add(path: Path, uses: Mapping[str, float]) -> None:
    replace_text(path, msgspec.json.encode({**read_last_use(path), **uses}).decode() + "\n")
