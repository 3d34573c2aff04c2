"""Whom we talk to and about what: the peer, the session, the transaction (RFC 5321 §3.3)."""

from dataclasses import dataclass, field

from notqmail.mail.address import Address
from notqmail.mail.envelope import Body, Envelope, Recipient, Ret
from notqmail.mail.login import Login
from notqmail.mail.message import Mark
from notqmail.mail.reply import Reply
from notqmail.policy.evidence import Decision, Evidence


@dataclass(frozen=True, slots=True)
class Peer:
    """Both ends of the connection. Addresses as text, IPv6 without brackets; `name` is the verified reverse
    name or ""."""

    address: str
    port: int
    local_address: str
    local_port: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Tls:
    """What protects a connection: the protocol version as OpenSSL writes it, the cipher suite, the name the client
    asked for ("" for none), and the addresses in its verified certificate."""

    version: str
    cipher: str
    server_name: str = ""
    client_names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.version} {self.cipher}"


@dataclass(slots=True)
class Session:
    """One connection, or one local injection. `held` are the refusals and quarantines of connect and HELO that
    wait for RCPT; `decisions` all that was decided so far outside transactions."""

    id: str
    listener: str
    kind: str
    peer: Peer
    helo: str = ""
    helo_valid: bool = False
    esmtp: bool = False
    tls: Tls | None = None
    login: Login | None = None
    local_user: str | None = None  # who injects, by peer credentials
    early: bool = False  # talked before the banner
    held: list[Decision] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    evidence: Evidence = field(default_factory=Evidence)
    transactions: int = 0

    @property
    def trusted(self) -> bool:
        """True when we know who this is: logged in, or injected locally."""
        return self.login is not None or self.local_user is not None


@dataclass(slots=True)
class Transaction:
    """One message on its way in, from MAIL on. `id` is its queue id, `started` wall-clock seconds, `size` the
    SIZE that was announced. `recipients` are those accepted so far, `marks` what judgement left on them;
    `ref` names the transaction to who was refused in it."""

    id: str
    session: Session
    sender: Address | None
    started: float
    size: int | None = None
    body: Body | None = None
    ret: Ret | None = None
    envid: str | None = None
    smtputf8: bool = False
    requiretls: bool = False
    auth: str | None = None
    recipients: list[Recipient] = field(default_factory=list)
    held: list[Decision] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    marks: dict[Recipient, Mark] = field(default_factory=dict)
    dropped: dict[Recipient, Reply] = field(default_factory=dict)  # who is told by a report
    ref: str = ""
    faulty: str = ""  # the stage whose body sink failed
    evidence: Evidence = field(init=False)

    def __post_init__(self) -> None:
        self.evidence = Evidence(self.session.evidence)

    @property
    def envelope(self) -> Envelope:
        return Envelope(
            self.sender,
            tuple(self.recipients),
            self.envid,
            self.ret,
            self.smtputf8,
            self.requiretls,
            self.body,
        )

    @property
    def protocol(self) -> str:
        """The keyword after `with` in Received (RFC 3848, RFC 6531 §4.3); "" for a local injection."""
        session = self.session
        if session.local_user is not None:
            return ""
        lmtp = session.kind == "lmtp"
        if self.smtputf8:
            base = "UTF8LMTP" if lmtp else "UTF8SMTP"
        elif lmtp:
            base = "LMTP"
        elif session.esmtp:
            base = "ESMTP"
        else:
            return "SMTP"
        return base + ("S" if session.tls else "") + ("A" if session.login is not None else "")
