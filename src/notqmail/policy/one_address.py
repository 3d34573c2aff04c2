"""Do all clients seem to come from one private address? Then a proxy, or a router that rewrites, stands before us.

Limits and bans would hit everybody at once, and the trace of every message would name the proxy. The sign is that not
one public address was seen, and nearly all of many connections came from a single one: on the Internet scanners alone
prevent that within minutes. It is looked for until the first public address; a LAN with several clients never shows it.
"""

from collections import Counter
from ipaddress import ip_address
from typing import Final

ENOUGH: Final = 100  # connections before anything is said
NEARLY_ALL: Final = 0.9
REMEDY: Final = (
    "let it send the PROXY header and name it in `proxy`, or let it keep their addresses"
)
MANY: Final = 100  # private addresses after which it is a LAN


class OneAddress:
    """Counts the clients of one listener that everybody can reach. Those a proxy told us about (PROXY, XCLIENT) are
    counted by the address it told."""

    def __init__(self, listener: str) -> None:
        self._listener = listener
        self._counts: Counter[str] | None = Counter()
        self._told = False

    def connected(self, address: str) -> str | None:
        """Count a client; give the finding the first time there is one."""
        if self._counts is None:
            return None
        self._counts[address] += 1
        if _public(address) or len(self._counts) > MANY:
            self._counts = None
            return None
        if self._told:
            return None
        finding = self.finding()
        self._told = finding is not None
        return finding

    def finding(self) -> str | None:
        """Say what is wrong, REMEDY has what to do about it; None while nothing is."""
        if self._counts is None:
            return None
        total = self._counts.total()
        if total < ENOUGH:
            return None
        [(address, count)] = self._counts.most_common(1)
        if count < NEARLY_ALL * total:
            return None
        return (
            f"{count} of {total} clients of {self._listener} came from {address}: a proxy or a router hides who they"
            " are, and limits and bans hit all of them"
        )


def _public(address: str) -> bool:
    try:
        return ip_address(address).is_global
    except ValueError:
        return False
