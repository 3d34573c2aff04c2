"""Which domains have shown a valid certificate, so that none is silently taken for less.

Who sits between us and a server can take STARTTLS out of its reply, or answer in its place with a certificate of his
own. Opportunistic TLS would then go on without protection (RFC 7435 §3). A domain that has once been reached with a valid
certificate is held to it for a while; mail waits rather than go out with less.

The key is the domain, not the host: its MX come from a DNS that nobody signed, and a host we never saw would be no
warning. The memory is a file of JSON, written a moment after a change and at the end. When it is full no further
domain is remembered: one that is must not be driven out by mail to many others.
"""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from notqmail.log import event
from notqmail.ports import Clock

FILE = "tls-memory.json"  # in the data directory
WAIT = 5.0  # seconds that a change may wait to be written
PAUSE = 3600.0  # seconds until a full memory is looked through again
STEP = 1 / 30  # of the lifetime: how much longer it must get to be worth writing

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """A valid certificate: for which host, and until when (wall-clock seconds) the domain is held to it."""

    host: str
    until: float


class TlsMemory:
    """`path` None keeps it in memory only."""

    def __init__(
        self, clock: Clock, path: Path | None = None, *, lifetime: float = 0.0, domains: int = 1
    ) -> None:
        self._clock, self._path = clock, path
        self._lifetime, self._domains = lifetime, domains
        self._seen: dict[str, Seen] = {} if path is None else _read(path)
        self._full_until = 0.0
        self._changed = False
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._seen)

    def configure(self, lifetime: float, domains: int) -> None:
        """Take over a changed configuration."""
        self._lifetime, self._domains = lifetime, domains

    def seen(self, domain: str) -> Seen | None:
        """Give what a domain is held to, or None."""
        found = self._seen.get(domain)
        if found is None or not self._lifetime:
            return None
        return found if found.until > self._clock.now() else None

    def remember(self, domain: str, host: str) -> None:
        """Note that a domain was reached with a valid certificate just now."""
        if not self._lifetime:
            return
        until = self._clock.now() + self._lifetime
        known = self._seen.get(domain)
        if known is not None and known.until > until - self._lifetime * STEP:
            return
        if known is None and not self._room():
            return
        self._seen[domain] = Seen(host, until)
        self._change()

    def forget(self, domain: str) -> bool:
        """Hold a domain to nothing; False when it was not."""
        if self._seen.pop(domain, None) is None:
            return False
        self._change()
        return True

    def list(self) -> Sequence[tuple[str, Seen]]:
        """Give what is remembered, by domain."""
        now = self._clock.now()
        return sorted((domain, seen) for domain, seen in self._seen.items() if seen.until > now)

    async def close(self) -> None:
        """Write what is not written yet."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        if self._changed:
            await self._write()

    def _room(self) -> bool:
        """Say whether one more can be remembered; looks for what is over once in a while only."""
        if len(self._seen) < self._domains:
            return True
        now = self._clock.now()
        if now < self._full_until:
            return False
        self._seen = {domain: seen for domain, seen in self._seen.items() if seen.until > now}
        if len(self._seen) < self._domains:
            return True
        self._full_until = now + PAUSE
        event(
            _log,
            "tls-memory-full",
            level=logging.WARNING,
            domains=len(self._seen),
            remedy="raise outbound.tls_memory_domains",
        )
        return False

    def _change(self) -> None:
        self._changed = True
        if self._path is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WAIT, self._start)

    def _start(self) -> None:
        self._timer = None
        self._writing = asyncio.create_task(self._write(), name="tls memory")

    async def _write(self) -> None:
        self._changed = False
        if self._path is None:
            return
        try:
            await asyncio.to_thread(_replace, self._path, dict(self._seen))
        except OSError as error:  # it is kept, and written with the next change
            self._changed = True
            _log.error("cannot be written file=%s error=%r", self._path, error.strerror)


def _read(path: Path) -> dict[str, Seen]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Seen])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        _log.error("cannot be read, nothing is remembered file=%s error=%r", path, str(error))
        return {}


def _replace(path: Path, seen: Mapping[str, Seen]) -> None:
    """Put a new file in place of the old one; after a crash one of them is there."""
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(dict(seen)), indent=1))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
