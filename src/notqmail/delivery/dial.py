"""A socket connected to one address, from the configured source address, within the time limit."""

import asyncio
import socket

from notqmail.delivery.mx import Candidate


async def dial(peer: Candidate, source: str, timeout: float) -> socket.socket:
    """Connect; raises OSError, TimeoutError among them. `peer.address` is an address, never a name; `source` "" leaves
    the choice to the system."""
    six = ":" in peer.address
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
    connected = False
    try:
        sock.setblocking(False)
        if source:
            _bind(sock, source)
        async with asyncio.timeout(timeout):
            await asyncio.get_running_loop().sock_connect(sock, (peer.address, peer.port))
        connected = True
        return sock
    finally:
        if not connected:
            sock.close()


def _bind(sock: socket.socket, source: str) -> None:
    try:
        sock.bind((source, 0))
    except OSError as error:  # say which address it is
        raise OSError(error.errno, f"our address {source}: {error.strerror}") from None
