"""How mail leaves."""

from typing import Annotated, Literal

from msgspec import Meta

from notqmail.config.quantity import Seconds, Section, Size


class Outbound(Section, frozen=True):
    """How mail leaves."""

    smarthost: Annotated[str, Meta(description='"" for delivery by MX, else "host:port"')] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="port of other servers")] = 25
    tls: Annotated[
        Literal["opportunistic", "never"], Meta(description="STARTTLS when offered, or never")
    ] = "opportunistic"
    bind_ipv4: Annotated[
        str, Meta(description='source address for IPv4, "" for the system\'s choice')
    ] = ""
    bind_ipv6: Annotated[
        str, Meta(description='source address for IPv6, "" for the system\'s choice')
    ] = ""
    ipv6: Annotated[bool, Meta(description="use IPv6 at all")] = True
    mx_limit: Annotated[int, Meta(ge=1, description="addresses tried in one attempt")] = 10
    connect_timeout: Annotated[Seconds, Meta(description="for a connection to one address")] = (
        Seconds(30)
    )
    banner_timeout: Annotated[
        Seconds, Meta(description="for the banner (RFC 5321 section 4.5.3.2.1)")
    ] = Seconds(300)
    command_timeout: Annotated[Seconds, Meta(description="for a reply to a command")] = Seconds(300)
    data_timeout: Annotated[
        Seconds, Meta(description="for the 354, and for progress of each block")
    ] = Seconds(180)
    final_timeout: Annotated[Seconds, Meta(description="for the reply to the final dot")] = Seconds(
        600
    )
    reuse: Annotated[int, Meta(ge=1, description="messages over one connection")] = 100
    idle: Annotated[
        Seconds, Meta(description="how long an idle connection is kept for the next message")
    ] = Seconds(5)
    idle_connections: Annotated[
        int, Meta(ge=0, description="idle connections kept at once; one more closes the oldest")
    ] = 100
    quit_timeout: Annotated[
        Seconds, Meta(description="for the reply to QUIT; then the connection is cut")
    ] = Seconds(5)
    recipients: Annotated[
        int, Meta(ge=1, description="recipients in one transaction; the rest follows in the next")
    ] = 100
    mx_sessions: Annotated[
        int,
        Meta(
            ge=1,
            description="hosts that may answer 4xx in one attempt before it waits for the next",
        ),
    ] = 2
    attempt_timeout: Annotated[
        Seconds, Meta(description="for one attempt with all its hosts; over it: delayed, 4.4.2")
    ] = Seconds(2 * 3600)
    routes: Annotated[int, Meta(ge=1, description="next hops whose MX are remembered at once")] = (
        1000
    )
    route_age: Annotated[
        Seconds, Meta(description="how long they are remembered, at most; DNS may say less")
    ] = Seconds(60)
    convert: Annotated[
        Size,
        Meta(
            description="the largest message converted for a server without 8BITMIME; over it: 5.6.3"
        ),
    ] = Size(16 << 20)
