"""A name and a password as other programs can take them, and the login that a name is.

What no program can take is no account anywhere: it is answered like a wrong password, and shown to nobody.
"""

import unicodedata
from dataclasses import dataclass, field

from notqmail.mail.address import Address
from notqmail.mail.errors import AddressError
from notqmail.mail.idn import canonical_domain
from notqmail.mail.login import Login

MAX_USER = 254  # octets: the longest address (RFC 5321 §4.5.3.1.3)
MAX_PASSWORD = 1024  # octets, as of our own accounts


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and a password in UTF-8: neither is empty, too long or has a NUL, the name has no control character."""

    user: bytes
    password: bytes = field(repr=False)

    @classmethod
    def of(cls, user: str, password: str) -> "Credentials | None":
        """Give what a client has sent, or None when it cannot be an account."""
        if len(user) > MAX_USER or len(password) > MAX_PASSWORD:  # before anything is copied
            return None
        try:
            sent = cls(user.encode(), password.encode())
        except UnicodeEncodeError:  # a lone surrogate: octets that were not UTF-8
            return None
        if not 0 < len(sent.user) <= MAX_USER or not 0 < len(sent.password) <= MAX_PASSWORD:
            return None
        if any(unicodedata.category(c) == "Cc" for c in user) or b"\0" in sent.password:
            return None
        return sent


def login_of(account: str, realm: str) -> Login:
    """Give the login of an account that has proved itself: its address is its name, or its name at `realm` (a domain
    or "") when it has no domain; None when that is no address."""
    text = account if "@" in account or not realm else f"{account}@{realm}"
    try:
        return Login(account, Address.parse(text))
    except AddressError:
        return Login(account)


def bare_name(user: str, realm: str) -> str:
    """Give the name of a user of the machine, who may have written it with our domain: "alice" of "alice@REALM"."""
    name, _, domain = user.rpartition("@")
    try:
        return name if name and realm and canonical_domain(domain) == realm else user
    except AddressError:
        return user
