"""A socket connected to one address, from the configured source address, within the time limit."""

import asyncio
import socket

from notqmail.config import Outbound
from notqmail.delivery.mx import Candidate


async def dial(peer: Candidate, outbound: Outbound) -> socket.socket:
    """Connect; raises OSError, TimeoutError among them. `peer.address` is an address, never a name."""
    six = ":" in peer.address
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
    connected = False
    try:
        sock.setblocking(False)
        source = outbound.bind_ipv6 if six else outbound.bind_ipv4
        if source:
            sock.bind((source, 0))
        async with asyncio.timeout(outbound.connect_timeout):
            await asyncio.get_running_loop().sock_connect(sock, (peer.address, peer.port))
        connected = True
        return sock
    finally:
        if not connected:
            sock.close()
