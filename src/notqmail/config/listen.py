"""Listeners and what they let their clients do."""

from typing import Annotated, Literal

from msgspec import Meta

from notqmail.config.quantity import Seconds, Section, Size


class Limits(Section, frozen=True):
    """What one listener lets its clients do. What is over a limit is answered, never buffered."""

    connections: Annotated[
        int, Meta(ge=1, description="sessions at once on this listener; over it: 421")
    ] = 2000
    connections_per_ipv4: Annotated[
        int, Meta(ge=1, description="sessions at once from one IPv4 address; over it: 421")
    ] = 100
    connections_per_ipv6: Annotated[
        int, Meta(ge=1, description="sessions at once from one IPv6 /64; over it: 421")
    ] = 100
    messages: Annotated[
        int, Meta(ge=1, description="messages in one session; over it: 421 (LIMITS MAILMAX)")
    ] = 1000
    recipients: Annotated[
        int,
        Meta(
            ge=100,
            description="recipients of one message; over it: 452 4.5.3 (LIMITS RCPTMAX), as many again: 421",
        ),
    ] = 1000
    errors: Annotated[
        int, Meta(ge=1, description="refused commands in one session; over it: 421 and the end")
    ] = 20
    commands: Annotated[
        int,
        Meta(
            ge=10,
            description="commands that move no mail (NOOP, RSET, VRFY, EHLO…) in one session; over it: 421",
        ),
    ] = 200
    command_line: Annotated[
        int, Meta(ge=512, description="octets of a command line with CRLF; over it: 500 5.5.2")
    ] = 4096
    text_line: Annotated[
        int,
        Meta(ge=1000, description="octets of a line of a message with CRLF; over it: 554 5.6.0"),
    ] = 16384
    header: Annotated[
        Size, Meta(description="octets of a message's header; over it: 552 5.3.4")
    ] = Size(256 << 10)
    message: Annotated[Size, Meta(description="octets of a message; over it: 552 5.3.4 (SIZE)")] = (
        Size(50 << 20)
    )
    command_timeout: Annotated[
        Seconds, Meta(description="silence before a command; over it: 421 4.4.2")
    ] = Seconds(300)
    data_timeout: Annotated[
        Seconds, Meta(description="silence within a message; over it: 421 4.4.2")
    ] = Seconds(180)
    session_timeout: Annotated[
        Seconds, Meta(description="a session without a message accepted for so long: 421 4.4.2")
    ] = Seconds(3600)
    hops: Annotated[
        int, Meta(ge=10, description="Received fields; over it: 554 5.4.6 (RFC 5321 section 6.3)")
    ] = 100
    stage_timeout: Annotated[
        Seconds, Meta(description="for one stage of judgement; over it: 451 4.3.0")
    ] = Seconds(20)


class Listen(Section, frozen=True):
    """A listener: a name, a kind with its pipeline, and the addresses it is bound to."""

    name: Annotated[str, Meta(description="what the log and the metrics call it")]
    kind: Annotated[
        Literal["mx", "submission", "submissions", "lmtp"],
        Meta(description="what it is for; each kind has its own pipeline"),
    ]
    bind: Annotated[
        tuple[str, ...], Meta(min_length=1, description='"address:port", "[IPv6]:port"')
    ]
    greet_delay: Annotated[
        Seconds,
        Meta(
            description="wait so long before the banner; who talks first is refused at RCPT (0: no wait)"
        ),
    ] = Seconds(0)
    repair_bare_lf: Annotated[
        bool,
        Meta(description="read a bare LF as CRLF instead of refusing it; submission kinds only"),
    ] = False
    tls: Annotated[
        bool,
        Meta(
            description="offer STARTTLS when there is a certificate (mx); the submission kinds always need one"
        ),
    ] = True
    proxy: Annotated[
        tuple[str, ...],
        Meta(
            description='networks of proxies whose connections begin with a PROXY header (v1, v2), before TLS: "127.0.0.1", "10.0.0.0/8"'
        ),
    ] = ()
    proxy_timeout: Annotated[
        Seconds, Meta(description="for the PROXY header; over it the connection is cut")
    ] = Seconds(10)
    xclient: Annotated[
        tuple[str, ...],
        Meta(description="networks that may say XCLIENT (Postfix's): who the client really is"),
    ] = ()
    helo: Annotated[
        Literal["lenient", "strict", "off"],
        Meta(
            description="HELO names refused at RCPT (501 5.5.2): what can be no name, what is outside the grammar, none"
        ),
    ] = "lenient"
    disagreement: Annotated[
        Literal["quarantine", "dsn"],
        Meta(description="a recipient that rejects what others take: into Junk, or told by DSN"),
    ] = "quarantine"
    limits: Limits = Limits()
