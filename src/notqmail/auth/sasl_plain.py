"""PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login) and EXTERNAL (RFC 4422 appendix A), the server's side.

Passwords go to the source of accounts as they came, in UTF-8 and without NUL: it prepares them if it keeps them
prepared. A name is prepared here. Nobody may act as somebody else: an authorisation identity is the name itself.
"""

from dataclasses import replace

from notqmail.auth.login_name import MAX_NAME, key, read_name
from notqmail.auth.sasl_step import Challenge, Failure, Reason, Step, Success, Terms
from notqmail.auth.saslprep import MAX_PREPARED

MALFORMED = Failure(Reason.MALFORMED)
ASK = Challenge(b"")
ASK_USER = Challenge(b"Username:")
ASK_PASSWORD = Challenge(b"Password:")


class Plain:
    """authzid NUL authcid NUL password, in one response."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    async def respond(self, response: bytes | None) -> Step:
        if response is None:
            return ASK
        parts = response.split(b"\0")
        if len(parts) != 3 or len(parts[0]) > MAX_NAME:
            return MALFORMED
        return await _prove(self._terms, "PLAIN", *parts)


class Login:
    """Two questions. The initial response is the name."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._user: bytes | None = None

    async def respond(self, response: bytes | None) -> Step:
        if response is None:
            return ASK_USER
        if b"\0" in response:
            return MALFORMED
        if self._user is None:
            self._user = response
            return MALFORMED if len(response) > MAX_NAME else ASK_PASSWORD
        return await _prove(self._terms, "LOGIN", b"", self._user, response)


class External:
    """The client's certificate has proved who it is; the response is the name it wants, or nothing."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    async def respond(self, response: bytes | None) -> Step:
        if response is None:
            return ASK
        if b"\0" in response or len(response) > MAX_NAME or not _utf8(response):
            return MALFORMED
        user = read_name(response) if response else ""
        if user is None:
            return Failure(Reason.WRONG, why="a name that nobody can have")
        names, attempt = self._terms.certificate, self._terms.attempt
        login = await self._terms.accounts.certificate(names, user, attempt) if names else None
        if login is None:
            return Failure(Reason.WRONG, user, "the certificate is not for this account")
        return Success(replace(login, mechanism="EXTERNAL"))


async def _prove(
    terms: Terms, mechanism: str, authzid: bytes, authcid: bytes, password: bytes
) -> Step:
    if not authcid or len(authcid) > MAX_NAME or len(password) > MAX_PREPARED:
        return MALFORMED
    if not _utf8(authzid, authcid, password):
        return MALFORMED
    user = read_name(authcid)
    if user is None:
        return Failure(Reason.WRONG, why="a name that nobody can have")
    if authzid and not same(read_name(authzid), user, terms.realm):
        return Failure(Reason.WRONG, user, "asks to act as somebody else")
    if not password:
        return Failure(Reason.WRONG, user, "no password")
    login = await terms.accounts.password(user, password.decode("utf-8"), terms.attempt)
    if login is None:
        return Failure(Reason.WRONG, user, "wrong name or password")
    return Success(replace(login, mechanism=mechanism))


def same(authzid: str | None, user: str, realm: str) -> bool:
    """Say whether an authorisation identity is the name that logs in, in whatever spelling."""
    return authzid is not None and key(authzid, realm) == key(user, realm)


def _utf8(*texts: bytes) -> bool:
    try:
        for text in texts:
            text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
