"""A listener: sockets bound, later served, and in the end drained.

Binding comes apart from serving, so that ports are bound as root and served as somebody else.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Sequence

from notqmail.config import endpoint
from notqmail.mail.errors import ConfigError
from notqmail.smtpd.registry import Registry
from notqmail.smtpd.service import Service
from notqmail.smtpd.session import SmtpSession

BACKLOG = 1024

_REMEDY = {
    errno.EADDRINUSE: "another program has this port: stop it, or choose another in `bind`",
    errno.EACCES: "ports below 1024 need root: start as root with `user` set, or choose a higher port",
    errno.EPERM: "ports below 1024 need root: start as root with `user` set, or choose a higher port",
    errno.EADDRNOTAVAIL: "this machine does not have this address: correct `bind`",
    errno.EAFNOSUPPORT: "this machine has no IPv6: take the address out of `bind`",
}


def bind(binds: Sequence[str], key: str) -> list[socket.socket]:
    """Bind and return sockets; raise ConfigError with the key path and the remedy. None stays open then."""
    with contextlib.ExitStack() as undo:
        sockets = [undo.enter_context(contextlib.closing(_bind(text, key))) for text in binds]
        undo.pop_all()
        return sockets


def _bind(text: str, key: str) -> socket.socket:
    host, port = endpoint(text)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as undo:
        try:
            # IPPROTO_TCP by name: without it asyncio leaves Nagle on, 40 ms for every reply
            sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            undo.callback(sock.close)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((host, port))
            # listen here, not at serve: of two servers started at once, exactly one gets the port
            sock.listen(BACKLOG)
            sock.setblocking(False)
        except OSError as error:
            remedy = _REMEDY.get(error.errno or 0, "correct `bind`")
            reason = error.strerror or str(error)
            raise ConfigError(key, f"cannot listen on {text}: {reason}", remedy) from None
        undo.pop_all()
        return sock


class Listener:
    """One [[listen]] table at work."""

    def __init__(self, service: Service, sockets: Sequence[socket.socket]) -> None:
        self.service = service
        self.registry = Registry(service.listener, service.limits, service.counts)
        self._sockets = sockets
        self._servers: list[asyncio.Server] = []

    async def serve(self) -> None:
        """Accept connections on every socket."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            server = await loop.create_server(self._session, sock=sock, backlog=BACKLOG)
            self._servers.append(server)

    def reload(self, service: Service) -> None:
        """Serve new connections by a new configuration; sessions at work keep theirs."""
        self.service = service
        self.registry.limit(service.limits)

    def close(self) -> None:
        """Accept no more connections."""
        for server in self._servers:
            server.close()

    def abort(self) -> None:
        """Cut every connection."""
        self.registry.abort()

    async def stop(self, grace: float) -> None:
        """Close the sockets, drain the sessions."""
        self.close()
        await self.registry.drain(grace)

    def _session(self) -> SmtpSession:
        return SmtpSession(self.service, self.registry)
