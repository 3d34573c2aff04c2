"""This machine: its resolver, its programs, its log, its metrics."""

from typing import Annotated, Literal

from msgspec import Meta

from notqmail.config.quantity import Seconds, Section, Size


class Dns(Section, frozen=True):
    """The resolver."""

    servers: Annotated[
        tuple[str, ...], Meta(description='"address" or "address:port"; empty: /etc/resolv.conf')
    ] = ()
    timeout: Annotated[Seconds, Meta(description="for one look-up with all its tries")] = Seconds(
        20
    )
    records: Annotated[
        int, Meta(ge=10, description="records of one answer that are read; the rest is ignored")
    ] = 100


class Web(Section, frozen=True):
    """Metrics and health."""

    bind: Annotated[tuple[str, ...], Meta(description='"address:port"; empty: none')] = ()


class Local(Section, frozen=True):
    """Mail from programs on this machine, and the command line: the sockets and the drop directory in data_dir."""

    connections: Annotated[
        int, Meta(ge=1, description="sessions at once on each local socket; over it: 421")
    ] = 100
    connections_per_user: Annotated[
        int, Meta(ge=1, description="the same from one user of this machine; over it: 421")
    ] = 20
    request: Annotated[
        Size, Meta(description="octets of a request, the envelope included; over it: 552 5.3.4")
    ] = Size(512 << 10)
    recipients: Annotated[
        int, Meta(ge=1, description="recipients of one message; over it: 554 5.5.3")
    ] = 1000
    header: Annotated[
        Size, Meta(description="octets of a message's header; over it: 552 5.3.4")
    ] = Size(256 << 10)
    text_line: Annotated[
        int,
        Meta(ge=1000, description="octets of a line of a message with CRLF; over it: 554 5.6.0"),
    ] = 16384
    message: Annotated[Size, Meta(description="octets of a message; over it: 552 5.3.4")] = Size(
        50 << 20
    )
    hops: Annotated[
        int, Meta(ge=10, description="Received fields; over it: 554 5.4.6 (RFC 5321 section 6.3)")
    ] = 100
    timeout: Annotated[
        Seconds, Meta(description="silence on a local socket; over it: 421 4.4.2")
    ] = Seconds(60)
    message_timeout: Annotated[
        Seconds, Meta(description="a whole message on the injection socket; over it: 421 4.4.2")
    ] = Seconds(3600)
    drop_interval: Annotated[
        Seconds, Meta(description="how often the drop directory is looked at, and at the start")
    ] = Seconds(60)
    drop_files: Annotated[
        int, Meta(ge=1, description="messages taken out of the drop directory in one look")
    ] = 1000


class Log(Section, frozen=True):
    """Log lines on stderr."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="the least that is logged")
    ] = "info"
    json: Annotated[bool, Meta(description="one JSON object per line instead of key=value")] = False
    backlog: Annotated[
        int, Meta(ge=100, description="lines waiting for a slow reader; over it they are dropped")
    ] = 10000
