"""The exceptions of notqmail, as one tree.

    NotqmailError
    ├── AddressError          an address that RFC 5321/6531 does not allow
    ├── ConfigError           the configuration is wrong: key path and remedy
    ├── SpoolError            the store cannot keep a message (disk full, read-only, locked): 451/452
    │   └── StaleTokenError   somebody else holds the entry now: the attempt's result is refused
    ├── AuthUnavailableError  a source of accounts cannot tell now: 454
    ├── DnsTempError          a look-up that may succeed later (SERVFAIL, timeout)
    └── ProtocolError         the dialogue went wrong
        ├── LocalProtocolError    we broke it: a bug
        └── RemoteProtocolError   the peer broke it

Expected trouble is a value (Verdict, Outcome); an exception is for what the caller cannot have planned.
"""


class NotqmailError(Exception):
    """The root: everything notqmail raises on purpose."""


class AddressError(NotqmailError):
    """An address, or a part of one, outside the grammar of RFC 5321 §4.1.2 and RFC 6531 §3.3."""


class ConfigError(NotqmailError):
    """The configuration is wrong. `where` is file and key path, `remedy` what to do about it."""

    def __init__(self, where: str, problem: str, remedy: str = "") -> None:
        self.where, self.problem, self.remedy = where, problem, remedy
        super().__init__(f"{where}: {problem}" + (f"; {remedy}" if remedy else ""))


class SpoolError(NotqmailError):
    """The store cannot keep or find a message now; the client keeps it (451), `full` says 452."""

    def __init__(self, message: str, *, full: bool = False) -> None:
        super().__init__(message)
        self.full = full


class StaleTokenError(SpoolError):
    """The entry was claimed anew since: this result must not be recorded."""


class AuthUnavailableError(NotqmailError):
    """A source of accounts cannot tell now (its server is away, too many are waiting): 454 4.7.0."""


class DnsTempError(NotqmailError):
    """A look-up failed in a way that may pass (RFC 1035 §4.1.1 SERVFAIL, a timeout)."""


class ProtocolError(NotqmailError):
    """The SMTP dialogue was broken."""


class LocalProtocolError(ProtocolError):
    """We broke it."""


class RemoteProtocolError(ProtocolError):
    """The peer broke it."""
