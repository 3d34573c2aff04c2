"""The name somebody logs in with, as the mailbox that is meant."""

from notqmail.auth.saslprep import prepare
from notqmail.mail.address import Address
from notqmail.mail.errors import AddressError

MAX_NAME = 255  # octets, RFC 4616 §2: "up to and including 255 octets"


def read_name(octets: bytes) -> str | None:
    """Read a name as it came, prepared with SASLprep; None when it is none: not UTF-8, empty, longer than MAX_NAME,
    with a character that is prohibited or, newer than SASLprep's tables, cannot be printed."""
    if len(octets) > MAX_NAME:
        return None
    try:
        name = prepare(octets.decode("utf-8"), "the name")
    except ValueError:  # UnicodeDecodeError is one
        return None
    return name if name.isprintable() else None


def mailbox(user: str, realm: str) -> Address | None:
    """Give the mailbox that a name means: an address, or a local part of `realm`; None when it can be none."""
    try:
        return Address.parse(user if "@" in user or not realm else f"{user}@{realm}")
    except AddressError:
        return None


def key(user: str, realm: str) -> str:
    """Give the form in which two spellings of one mailbox are the same; a name that is no mailbox stays as it is."""
    address = mailbox(user, realm)
    return user if address is None else f"{address.fold}@{address.domain}"
