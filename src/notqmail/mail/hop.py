"""A hop: where a recipient goes next."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hop:
    """`transport` names who delivers ("local", "smtp", …); `nexthop` is its argument: a domain to look up, a
    `host:port` or `[literal]:port` to connect to, or "" for local.

    `destination` is the queue's key: the recipients of one message with one destination travel together.
    """

    transport: str
    nexthop: str = ""

    @property
    def destination(self) -> str:
        return f"{self.transport}:{self.nexthop}"

    @classmethod
    def of(cls, destination: str) -> "Hop":
        """Read back what `destination` wrote."""
        transport, _, nexthop = destination.partition(":")
        return cls(transport, nexthop)
