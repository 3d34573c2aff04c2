"""What stops a session, as an exception with the reply to record; and the words for it.

    SessionError
    ├── UnreachableError     no session with this host: the next one may do
    ├── TlsFailedError       no session over TLS with this host: without TLS there may be one
    └── BrokenError          the session ended in the middle of a transaction

`heard` tells the peer's own words from ours.
"""

import ssl

from aiosmtplib import SMTPReadTimeoutError, SMTPServerDisconnected, SMTPTimeoutError

from notqmail.mail.errors import LocalProtocolError, RemoteProtocolError
from notqmail.mail.protection import Protection
from notqmail.mail.reply import Reply

# What the client side of a session can raise when the peer or the network misbehaves.
TROUBLES = (OSError, SMTPServerDisconnected, SMTPTimeoutError, RemoteProtocolError)


class SessionError(Exception):
    """`reply` is what to record, `heard` when the peer said it; `tls` when it is about the protection of the session."""

    def __init__(self, reply: Reply, *, heard: bool = False, tls: Protection | None = None) -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.heard = heard
        self.tls = tls


class UnreachableError(SessionError):
    """No session with this host."""


class TlsFailedError(SessionError):
    """The peer offered TLS and then it did not come about. `certificate` when it was only the certificate that was not
    valid, `why` in few words."""

    def __init__(self, error: Exception, peer: object) -> None:
        super().__init__(describe(error, peer, "starting TLS"))
        self.certificate = isinstance(error, ssl.SSLCertVerificationError)
        self.why = _why(error) if isinstance(error, ssl.SSLError) else self.reply.text


class BrokenError(SessionError):
    """The session ended in the middle of a transaction."""


def describe(error: Exception, peer: object, phase: str) -> Reply:
    """Say what happened, in the form of a reply (RFC 3463 §3.5: X.4.1 no answer, X.4.2 bad connection)."""
    match error:
        case LocalProtocolError():
            return Reply(554, "5.6.0", f"{error}")
        case RemoteProtocolError():
            return Reply(451, "4.5.0", f"{peer} broke the protocol while {phase}: {error}")
        case SMTPReadTimeoutError() | TimeoutError():
            return Reply(451, "4.4.2", f"{peer} timed out while {phase}")
        case ssl.SSLError():
            return Reply(451, "4.7.5", f"TLS with {peer} failed while {phase}: {_why(error)}")
        case SMTPServerDisconnected() | ConnectionError():
            return Reply(451, "4.4.2", f"lost the connection with {peer} while {phase}")
        case OSError():
            why = error.strerror or "network trouble"
            return Reply(451, "4.4.2", f"{peer}: {why} while {phase}")
        case _:
            return Reply(451, "4.4.2", f"{peer}: trouble while {phase}")


def _why(error: ssl.SSLError) -> str:
    """What OpenSSL says; `reason` is there only on what it raised, `verify_message` only of a certificate."""
    said = getattr(error, "verify_message", None) or getattr(error, "reason", None)
    return str(said or error.strerror)
