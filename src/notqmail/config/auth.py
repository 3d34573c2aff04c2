"""Logging in: where accounts are, how they may prove who they are, and what who tries too often meets."""

from typing import Annotated, Literal

from msgspec import Meta

from notqmail.config.quantity import Seconds, Section, Size

Mechanism = Literal[
    "PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "EXTERNAL",
]  # fmt: skip
Source = Literal["users", "dovecot", "checkpassword", "pam", "system"]


class Argon2(Section, frozen=True):
    """What a password hash costs (RFC 9106). A hash made with other values stays valid; `notqmail auth check` tells of it,
    and `notqmail user passwd` makes it anew."""

    memory: Annotated[Size, Meta(description="memory of one hash")] = Size(19 << 20)
    passes: Annotated[int, Meta(ge=1, le=100, description="passes over it (t)")] = 2
    lanes: Annotated[int, Meta(ge=1, le=16, description="lanes (p)")] = 1


class Dovecot(Section, frozen=True):
    """Dovecot's authentication server."""

    socket: Annotated[str, Meta(description="its client socket")] = "/run/dovecot/auth-client"
    timeout: Annotated[Seconds, Meta(description="for one answer; over it: 454 4.7.0")] = Seconds(
        10
    )


class Checkpassword(Section, frozen=True):
    """A program with qmail's checkpassword interface: name and password on descriptor 3, the answer is its status."""

    command: Annotated[
        tuple[str, ...],
        Meta(description='program and arguments, such as ["/bin/checkpassword", "/bin/true"]'),
    ] = ()
    timeout: Annotated[
        Seconds, Meta(description="for one answer; over it the program is killed: 454 4.7.0")
    ] = Seconds(10)
    processes: Annotated[int, Meta(ge=1, le=100, description="programs at once")] = 10


class Pam(Section, frozen=True):
    """PAM; needs the extra `notqmail[pam]`."""

    service: Annotated[str, Meta(description="its file in /etc/pam.d")] = "notqmail"
    timeout: Annotated[Seconds, Meta(description="for one answer; over it: 454 4.7.0")] = Seconds(
        10
    )
    threads: Annotated[
        int,
        Meta(
            ge=1, le=100, description="conversations at once; one that hangs counts until it ends"
        ),
    ] = 10


class System(Section, frozen=True):
    """People with an account on this machine: /etc/passwd and /etc/shadow."""

    timeout: Annotated[Seconds, Meta(description="for one answer; over it: 454 4.7.0")] = Seconds(
        10
    )


class Ban(Section, frozen=True):
    """Who fails to log in. Failures are counted by network (an IPv4 address, an IPv6 /64), never by account: nobody
    can lock an owner out."""

    failures: Annotated[
        int,
        Meta(
            ge=0, description="failures of a network within `window`; then it is banned (0: never)"
        ),
    ] = 10
    window: Annotated[Seconds, Meta(description="how long a failure counts")] = Seconds(600)
    duration: Annotated[
        Seconds,
        Meta(
            description="how long a ban lasts, each further one twice as long; connections are answered 421 4.7.0"
        ),
    ] = Seconds(600)
    longest: Annotated[
        Seconds,
        Meta(
            description="the longest ban; so long after one has ended, earlier ones are forgotten"
        ),
    ] = Seconds(86400)
    delay: Annotated[
        Seconds,
        Meta(description="before a failure is answered, doubled with each one of the network"),
    ] = Seconds(1)
    longest_delay: Annotated[Seconds, Meta(description="the longest such wait")] = Seconds(15)
    networks: Annotated[
        int,
        Meta(
            ge=100,
            description="networks remembered at once; over it the one idle longest is forgotten",
        ),
    ] = 100_000
    exempt: Annotated[
        tuple[str, ...],
        Meta(
            description='networks never banned, such as that of a webmail: "192.0.2.0/24", "2001:db8::/32"'
        ),
    ] = ()


class Auth(Section, frozen=True):
    """Logging in. Offered on the kinds submission and submissions, and only over TLS."""

    sources: Annotated[
        tuple[Source, ...],
        Meta(
            min_length=1,
            description='where accounts are, asked in this order: "users" (the file), "dovecot", "checkpassword", "pam", "system"',
        ),
    ] = ("users",)
    mechanisms: Annotated[
        tuple[Mechanism, ...],
        Meta(description="those that may be offered; one that a source cannot serve is not"),
    ] = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN", "EXTERNAL")
    realm: Annotated[
        str, Meta(description='domain of a name without one; "": the first domain')
    ] = ""
    app_passwords: Annotated[
        str, Meta(description="text file of app passwords; relative to this file")
    ] = "app-passwords"
    checks: Annotated[
        int, Meta(ge=1, description="passwords checked at once, each with the memory of a hash")
    ] = 2
    waiting: Annotated[
        int, Meta(ge=1, description="logins waiting for a check; over it: 454 4.7.0")
    ] = 100
    attempts: Annotated[
        int, Meta(ge=1, description="failed logins in one session; over it: 421 and the end")
    ] = 3
    argon2: Argon2 = Argon2()
    dovecot: Dovecot = Dovecot()
    checkpassword: Checkpassword = Checkpassword()
    pam: Pam = Pam()
    system: System = System()
    ban: Ban = Ban()


class Submission(Section, frozen=True):
    """Mail of our own people, on the kinds submission and submissions."""

    senders: Annotated[
        str,
        Meta(
            description="text file of further addresses an account may send as; relative to this file"
        ),
    ] = "senders"
    check_sender: Annotated[
        Literal["envelope and header", "envelope", "off"],
        Meta(description="what must belong to the login; else 553 5.7.1, 550 5.7.1"),
    ] = "envelope and header"
    hide_client: Annotated[
        bool, Meta(description="leave the client's name and address out of Received")
    ] = True
    messages_per_hour: Annotated[
        int,
        Meta(
            ge=0, description="of one account; over it its mail is held in the queue (0: no limit)"
        ),
    ] = 500
    recipients_per_hour: Annotated[
        int, Meta(ge=0, description="of one account; over it its mail is held (0: no limit)")
    ] = 2000
    new_recipients_per_hour: Annotated[
        int,
        Meta(
            ge=0,
            description="recipients an account has never written to; over it its mail is held (0: no limit)",
        ),
    ] = 500
    known_recipients: Annotated[
        int,
        Meta(ge=100, description="recipients remembered for one account; over it the oldest goes"),
    ] = 10_000
    held_size: Annotated[
        Size, Meta(description="octets of mail kept of an account that is held; over it: 452 4.7.0")
    ] = Size(1 << 30)
