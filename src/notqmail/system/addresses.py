"""Which IP addresses are this machine's: asked of the kernel, one address at a time."""

import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address


@lru_cache(maxsize=1024)
def is_ours(address: IPv4Address | IPv6Address) -> bool:
    """Say whether a packet to `address` would come to this machine: only then can a socket be bound to it.

    Kept for the life of the process: a machine that changes its addresses restarts its servers.
    """
    if address.is_unspecified or address.is_multicast:
        return False
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def is_our_text(address: str) -> bool:
    """The same for text; what is no IP address is not ours."""
    try:
        return is_ours(ip_address(address))
    except ValueError:
        return False
