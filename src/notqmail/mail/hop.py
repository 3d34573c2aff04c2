"""A hop: where a recipient goes next."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hop:
    """`transport` names who delivers ("local", "smtp", …); `nexthop` is its argument: a domain to look up, a
    `host:port` or `[literal]:port` to connect to, or "" for local. After a ";" it has the name of the table of
    [[outbound.to]] that the recipient goes by: `example.net;strict`.

    `destination` is the queue's key: the recipients of one message with one destination travel together.
    """

    transport: str
    nexthop: str = ""

    @property
    def destination(self) -> str:
        return f"{self.transport}:{self.nexthop}"

    @property
    def target(self) -> str:
        """The next hop without the name of a table."""
        return self.nexthop.partition(";")[0]

    @property
    def table(self) -> str:
        """The name of the table, or ""."""
        return self.nexthop.partition(";")[2]

    @classmethod
    def of(cls, destination: str) -> "Hop":
        """Read back what `destination` wrote."""
        transport, _, nexthop = destination.partition(":")
        return cls(transport, nexthop)
