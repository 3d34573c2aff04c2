"""Which IP addresses are this machine's: asked of the kernel, one address at a time."""

import errno
import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

# What says nothing of the address, and must not be remembered as a no
_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_EVERYBODY = IPv4Address("255.255.255.255")
_PORT = 9  # discard; nothing is sent


@lru_cache(maxsize=1024)
def is_ours(address: IPv4Address | IPv6Address) -> bool:
    """Say whether a packet to `address` would come to this machine: only then can a socket be bound to it, and
    talk to itself (a broadcast address can be bound, and so can any where ip_nonlocal_bind is set).

    Kept for the life of the process: a machine that changes its addresses restarts its servers. Raises OSError when
    the machine is short of descriptors or memory.
    """
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified or address.is_multicast or address == _EVERYBODY:
        return False
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
            probe.connect((str(address), _PORT))
    except OSError as error:
        if error.errno in _SHORT:
            raise
        return False
    return True
