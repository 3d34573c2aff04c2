"""What lies in Maildirs: of each message which it is, whose it is and when it was written."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.crash.ledger import Copy, Promise
from tests.crash.message import recognised

_TO = re.compile(rb"^Delivered-To: (\S+)", re.MULTILINE)


class Maildirs:
    """Some Maildirs. A file that was read once is not read again, but it is missed when it is gone."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(path / "new" for path in paths)
        self._known: dict[str, Copy] = {}

    def copies(self) -> list[Copy]:
        """Every message that is there now."""
        self._known = {path: self._known.get(path) or _read(path) for path in self._files()}
        return list(self._known.values())

    def forget(self) -> None:
        """Read everything again the next time: the disk is another one now."""
        self._known = {}

    def empty(self) -> None:
        """Remove what is there, as the owners of the mail do some day."""
        for path in self._files():
            Path(path).unlink()
        self._known = {}

    def _files(self) -> Iterator[str]:
        for path in self._paths:
            if path.is_dir():
                with os.scandir(path) as entries:
                    yield from [entry.path for entry in entries]


def _read(path: str) -> Copy:
    with Path(path).open("rb") as file:
        content = file.read()
        written = os.fstat(file.fileno()).st_mtime
    to = _TO.search(content, 0, 1024)
    id, octets = recognised(content)
    return Copy(Promise(id, to[1].decode() if to else path, octets), written)
