"""The words for what went wrong, in the form of a reply (RFC 3463)."""

import ssl

import pytest
from aiosmtplib import SMTPReadTimeoutError, SMTPServerDisconnected

from notqmail.delivery.mx import Candidate
from notqmail.delivery.session_error import describe
from notqmail.mail.errors import LocalProtocolError, RemoteProtocolError

PEER = Candidate("mx.example.net", "192.0.2.1", 25)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            SMTPReadTimeoutError("x"),
            "451 4.4.2 mx.example.net[192.0.2.1]:25 timed out while greeting",
        ),
        (TimeoutError(), "451 4.4.2 mx.example.net[192.0.2.1]:25 timed out while greeting"),
        (
            SMTPServerDisconnected("x"),
            "451 4.4.2 lost the connection with mx.example.net[192.0.2.1]:25 while greeting",
        ),
        (
            ConnectionResetError(104, "reset"),
            "451 4.4.2 lost the connection with mx.example.net[192.0.2.1]:25 while greeting",
        ),
        (
            OSError(113, "No route to host"),
            "451 4.4.2 mx.example.net[192.0.2.1]:25: No route to host while greeting",
        ),
        (OSError(), "451 4.4.2 mx.example.net[192.0.2.1]:25: network trouble while greeting"),
        (
            RemoteProtocolError("not a reply"),
            "451 4.5.0 mx.example.net[192.0.2.1]:25 broke the protocol while greeting: not a reply",
        ),
        (LocalProtocolError("bare LF"), "554 5.6.0 bare LF"),
        (
            ssl.SSLError(1, "[SSL] bad"),
            "451 4.7.5 TLS with mx.example.net[192.0.2.1]:25 failed while greeting: [SSL] bad",
        ),
        (ValueError("x"), "451 4.4.2 mx.example.net[192.0.2.1]:25: trouble while greeting"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_trouble_is_told_with_peer_and_phase(error: Exception, said: str) -> None:
    assert str(describe(error, PEER, "greeting")) == said
