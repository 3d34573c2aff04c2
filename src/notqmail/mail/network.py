"""IP addresses as text: one form for each client, the network it is counted by, and lists of networks.

IPv4 that came in through an IPv6 socket is IPv4 (RFC 4291 §2.5.5.2), and a zone (RFC 4007 §11) says over which of our
links a client came, not who it is. An IPv6 client chooses its address anew at will within its /64 (RFC 8981), so it
is counted by that. The exception is 64:ff9b::/96 (RFC 6052 §2.1): before an IPv6-only server that is the whole IPv4
Internet, and counted by address.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

_HOST_BITS = 64
_TRANSLATED = IPv6Network("64:ff9b::/96")
_MAPPED_LENGTH = 96


def plain_address(text: str) -> str:
    """Give an address in its one form: IPv4 where it is mapped, no zone, lower case. What is no address stays."""
    if ":" not in text:
        return text
    try:
        return str(_plain(text))
    except ValueError:
        return text


def client_network(address: str) -> str:
    """Give what a client is counted by: an IPv4 address, or the /64 that an IPv6 address stands in."""
    if ":" not in address:
        return address
    try:
        ip = _plain(address)
    except ValueError:
        return address
    if ip.version == 4 or ip in _TRANSLATED:
        return str(ip)
    return str(IPv6Network((int(ip) >> _HOST_BITS << _HOST_BITS, 128 - _HOST_BITS)))


def parse_network(text: str) -> Network:
    """Read "192.0.2.0/24", "2001:db8::/32" or one address; raise ValueError. What is mapped is IPv4."""
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_LENGTH:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_LENGTH))
    return network


class Networks:
    """A list of networks; `address in networks`, also for what is no address at all."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Raises ValueError for what is no network."""
        self._networks = tuple(map(parse_network, texts))

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            ip = _plain(address)
        except ValueError:
            return False
        return any(ip in network for network in self._networks)

    def covers(self, other: Network) -> bool:
        """Say whether all of a network is in one of these."""
        return any(_within(other, network) for network in self._networks)


def _within(one: Network, other: Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.subnet_of(other)
    return isinstance(other, IPv6Network) and one.subnet_of(other)


def _plain(text: str) -> IPv4Address | IPv6Address:
    ip = ip_address(text.partition("%")[0])
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip
