"""How mail leaves: for every destination, and for those that a table names.

    [outbound]                        the default
    [outbound.login]                  how we log in to its smarthost
    [[outbound.to]]                   some destinations or senders; the first table that matches counts
    [outbound.to.login]               how we log in to the smarthost of the table above

What a table leaves out of `tls`, `tls_names`, `prefer`, `bind_ipv4` and `bind_ipv6` is as in [outbound]. Smarthost and
login are its own: without a smarthost it delivers by MX, and no password meets a server it is not meant for.
"""

from typing import Annotated, Literal

from msgspec import Meta

from notqmail.config.quantity import Seconds, Section, Size

Floor = Literal["never", "opportunistic", "encrypt", "verify"]
Family = Literal["either", "ipv6", "ipv4"]
LoginMechanism = Literal["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"]

_IMPLICIT = 465  # RFC 8314 §3.3: TLS from the first octet

_TLS = (
    '"never"; "opportunistic": when offered; "encrypt": always, with any certificate; '
    '"verify": always, with a valid one (what falls short waits: 4.7.4, 4.7.5)'
)
_NAMES = (
    'whose certificate is a valid one: "host" is the name of the MX or smarthost, "domain" the recipient\'s domain, '
    'anything else a name ("mx.example.net", or ".example.net" for all names below it)'
)
_SMARTHOST = '"" for delivery by MX, else "host:port"'
_IMPLICIT_TLS = "the smarthost speaks TLS from the first octet; always so on port 465"
_SOURCE = 'source address for {}, "" for the system\'s choice'


class SmarthostLogin(Section, frozen=True):
    """How we log in to the smarthost; needs tls = "verify"."""

    user: Annotated[str, Meta(description='our name there; "": no login')] = ""
    password_file: Annotated[
        str,
        Meta(
            description="file whose first line is the password, for nobody else to read; relative to this file"
        ),
    ] = ""
    mechanisms: Annotated[
        tuple[LoginMechanism, ...],
        Meta(
            min_length=1, description="those that may be used; of what is offered the strongest is"
        ),
    ] = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")


class To(Section, frozen=True):
    """Some destinations, or mail of some senders."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z",
            description="what the queue and the log call it; waiting mail finds its table by it after a change",
        ),
    ]
    domains: Annotated[
        tuple[str, ...],
        Meta(
            description='of recipients: "example.net", ".example.net" for the domains below it, "*" for all; none: all'
        ),
    ] = ()
    senders: Annotated[
        tuple[str, ...],
        Meta(
            description='"alice@example.org", "@example.org", "<>" for reports; none: all senders'
        ),
    ] = ()
    smarthost: Annotated[str, Meta(description=_SMARTHOST)] = ""
    implicit_tls: Annotated[bool, Meta(description=_IMPLICIT_TLS)] = False
    tls: Annotated[
        Literal["", "never", "opportunistic", "encrypt", "verify"],
        Meta(
            description='"": as in [outbound]; anything else also overrides what is remembered of a domain'
        ),
    ] = ""
    tls_names: Annotated[tuple[str, ...], Meta(description="none: as in [outbound]")] = ()
    prefer: Annotated[
        Literal["", "either", "ipv6", "ipv4"], Meta(description='"": as in [outbound]')
    ] = ""
    bind_ipv4: Annotated[str, Meta(description='"": as in [outbound]')] = ""
    bind_ipv6: Annotated[str, Meta(description='"": as in [outbound]')] = ""
    login: SmarthostLogin = SmarthostLogin()


class Outbound(Section, frozen=True):
    """How mail leaves."""

    smarthost: Annotated[str, Meta(description=_SMARTHOST)] = ""
    implicit_tls: Annotated[bool, Meta(description=_IMPLICIT_TLS)] = False
    port: Annotated[int, Meta(ge=1, le=65535, description="port of other servers")] = 25
    tls: Annotated[Floor, Meta(description=_TLS)] = "opportunistic"
    tls_names: Annotated[tuple[str, ...], Meta(min_length=1, description=_NAMES)] = ("host",)
    ca_file: Annotated[
        str,
        Meta(
            description='PEM of who is trusted to sign certificates, "": the system\'s; relative to this file'
        ),
    ] = ""
    tls_memory: Annotated[
        Seconds,
        Meta(
            description='how long a domain that has shown a valid certificate is held to it ("0s": it is not): mail waits, 4.7.5'
        ),
    ] = Seconds(30 * 86400)
    tls_memory_domains: Annotated[
        int, Meta(ge=1, description="domains remembered; over it no further one is")
    ] = 20_000
    tls_retry: Annotated[
        Seconds,
        Meta(
            description="how long a host whose certificate was not valid is not asked for a valid one again, unless one is needed"
        ),
    ] = Seconds(3600)
    login_retry: Annotated[
        Seconds,
        Meta(description="how long a login that was refused is not tried again; mail waits, 4.7.8"),
    ] = Seconds(300)
    bind_ipv4: Annotated[str, Meta(description=_SOURCE.format("IPv4"))] = ""
    bind_ipv6: Annotated[str, Meta(description=_SOURCE.format("IPv6"))] = ""
    ipv6: Annotated[bool, Meta(description="use IPv6 at all")] = True
    prefer: Annotated[
        Family,
        Meta(
            description="the addresses of equally good hosts that are tried first; either: they take turns"
        ),
    ] = "either"
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
    login: SmarthostLogin = SmarthostLogin()
    to: tuple[To, ...] = ()


def implicit(way: Outbound | To, port: int) -> bool:
    """Say whether the smarthost of a table, on this port, speaks TLS from the first octet."""
    return way.implicit_tls or port == _IMPLICIT
