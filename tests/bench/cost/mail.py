"""The message of every shape: 4 KB, from one stranger to one mailbox of ours, as Postfix's smtp-source sends it (W1)."""

from itertools import count

from notqmail.mail.address import Address
from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Envelope, Recipient
from notqmail.mail.header import HeaderEdit
from notqmail.mail.hop import Hop
from notqmail.mail.message import Message, Octets

HOSTNAME = "mx.example.org"
DOMAIN = "example.org"
SENDER = "a@sender.example"
MAILBOX = "alice@example.org"
BORN = 1_800_000_000.25

_HEADER = (
    b"From: <a@sender.example>\r\nTo: <alice@example.org>\r\n"
    b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-Id: <0001.0002.0003@sender.example>\r\n\r\n"
)
_LINE = b"X" * 78 + b"\r\n"
CONTENT = _HEADER + _LINE * ((4096 - len(_HEADER)) // len(_LINE))

_RECEIVED = HeaderEdit(
    "prepend",
    b"Received: from client.example.net (client.example.net [127.0.0.1])\r\n"
    b"\tby mx.example.org with ESMTP id 0000000000000\r\n"
    b"\tfor <alice@example.org>; Thu, 1 Jan 2026 00:00:00 +0000\r\n",
)
_serial = count(1)


def envelope(recipient: str = MAILBOX) -> Envelope:
    """From SENDER to one recipient, parsed anew as every message's is."""
    return Envelope(Address.parse(SENDER), (Recipient(Address.parse(recipient)),))


def entry(hop: Hop, recipient: str) -> Entry:
    """A message that the queue has claimed, with our Received field."""
    message = Message(envelope(recipient), Octets(CONTENT), (_RECEIVED,))
    return Entry(f"{next(_serial):013d}", message, hop, BORN, token=1)
