"""What systemd and its service agree on: sd_notify(3) and sd_listen_fds(3), in the few lines they are."""

import logging
import os
import socket
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

from notqmail.mail.errors import ConfigError

log = logging.getLogger(__name__)

FIRST_FD = 3  # SD_LISTEN_FDS_START


class Notifier:
    """Tells the service manager how we are. Without one it tells nobody; it never raises and never waits."""

    def __init__(self, address: str = "") -> None:
        # a leading @ is the abstract name space (sd_notify(3))
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @classmethod
    def of(cls, environ: MutableMapping[str, str] = os.environ) -> "Notifier":
        """Take the address out of the environment, so that what we start does not speak for us."""
        return cls(environ.pop("NOTIFY_SOCKET", ""))

    def ready(self, status: str = "") -> None:
        """Every listener accepts, first after the start and again after a reload."""
        self._send("READY=1", *([f"STATUS={_line(status)}"] if status else []))

    def reloading(self) -> None:
        """A reload has begun; `ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={_line(text)}")

    def _send(self, *assignments: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)
            try:
                channel.connect(self._address)
                channel.send("\n".join(assignments).encode())
            except OSError as error:
                log.warning("the service manager does not hear us: error=%r", error.strerror)


def _line(text: str) -> str:
    return text.replace("\n", " ")


@dataclass(frozen=True, slots=True)
class Passed:
    """One socket handed to us: its descriptor and its name (FileDescriptorName= of the socket unit)."""

    fd: int
    name: str


def listen_fds(environ: Mapping[str, str], pid: int) -> tuple[Passed, ...]:
    """Read LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES. () when they are not there or for another process; raise
    ConfigError when they make no sense."""
    if environ.get("LISTEN_PID") != str(pid):
        return ()
    count, names = environ.get("LISTEN_FDS", ""), environ.get("LISTEN_FDNAMES")
    if not (count.isascii() and count.isdigit()):
        raise ConfigError("LISTEN_FDS", f"{count!r} is not a number", "see sd_listen_fds(3)")
    found = names.split(":") if names is not None else ["unknown"] * int(count)
    if len(found) != int(count):
        raise ConfigError(
            "LISTEN_FDNAMES", f"{len(found)} names for {count} sockets", "see sd_listen_fds(3)"
        )
    return tuple(Passed(FIRST_FD + i, name) for i, name in enumerate(found))


def take_sockets(environ: MutableMapping[str, str] = os.environ) -> list[tuple[str, socket.socket]]:
    """Make what was handed to us ours: sockets by name, closed on exec, the variables gone."""
    passed = listen_fds(environ, os.getpid())
    for variable in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(variable, None)
    sockets = []
    for item in passed:
        try:
            os.set_inheritable(item.fd, False)
            sockets.append((item.name, socket.socket(fileno=item.fd)))
        except OSError as error:
            raise ConfigError(
                f"LISTEN_FDS: {item.name}",
                f"descriptor {item.fd}: {error.strerror}",
                "pass sockets only",
            ) from None
    return sockets
