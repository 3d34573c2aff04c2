"""SCRAM-SHA-256 and SCRAM-SHA-1, with and without -PLUS, the server's side (RFC 5802, RFC 7677).

    C: n,,n=user,r=NONCE              gs2 header: n no channel binding, y "you offer none", p=TYPE
    S: r=NONCE+OURS,s=SALT,i=4096     a name that nobody has gets a salt too, always the same (Decoy)
    C: c=gs2 header and binding,r=NONCE+OURS,p=PROOF
    S: v=SIGNATURE                    then an empty response, then it is done

An account may have several passwords; they share salt and iterations, and the proof is tried with the keys of each.
The grammar is §7's. What is outside of it is malformed; an optional extension is ignored, `m=` is refused (§5.1).
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import replace

from notqmail.auth.login_name import key, read_name
from notqmail.auth.sasl_plain import ASK, MALFORMED, same
from notqmail.auth.sasl_step import Challenge, Decoy, Failure, Reason, Step, Success, Terms
from notqmail.auth.scram_keys import HASHES, fits, signature
from notqmail.mail.login import ScramAccount, ScramKeys

PLUS = "-PLUS"
_SALT = 16  # octets of a salt that is made up; as many as a real one has

_VALUE = r"[^,\0]+"
_PRINTABLE = r"[!-+\--~]+"
_BASE64 = r"[A-Za-z0-9+/]+={0,2}"
_EXTENSIONS = rf"(?:,[A-Za-z]={_VALUE})*"
_CLIENT_FIRST = re.compile(
    rf"(?P<gs2>(?P<flag>[ny]|p=(?P<type>[A-Za-z0-9.-]{{1,64}})),(?:a=(?P<authzid>[^,\0]*))?,)"
    rf"(?P<bare>n=(?P<name>{_VALUE}),r=(?P<nonce>{_PRINTABLE}){_EXTENSIONS})"
)
_CLIENT_FINAL = re.compile(
    rf"(?P<without_proof>c=(?P<binding>{_BASE64}),r=(?P<nonce>{_PRINTABLE}){_EXTENSIONS}),p=(?P<proof>{_BASE64})"
)
_ESCAPE = re.compile(r"=(2C|3D)?")


class Scram:
    """One exchange; `mechanism` is one of those that begin with the names of HASHES."""

    def __init__(self, mechanism: str, terms: Terms) -> None:
        self._mechanism, self._terms = mechanism, terms
        self._base = mechanism.removesuffix(PLUS)
        self._hash = HASHES[self._base]
        self._step = self._client_first
        self._user = self._gs2 = self._binding = self._nonce = self._said = ""
        self._account = ScramAccount(b"", 0, ())
        self._fitting: ScramKeys | None = None

    async def respond(self, response: bytes | None) -> Step:
        if response is None:
            return ASK
        try:
            text = response.decode("utf-8")
        except UnicodeDecodeError:
            return MALFORMED
        return await self._step(text)

    async def _client_first(self, text: str) -> Step:
        match = _CLIENT_FIRST.fullmatch(text)
        if match is None:
            return MALFORMED
        failure = self._check_binding_type(match["flag"], match["type"])
        if failure is not None:
            return failure
        # libgsasl writes "a=" where there is nothing to say, which §7 does not have
        escaped = [each for each in (match["authzid"], match["name"]) if each]
        names = [unescape(each) for each in escaped]
        if None in names:
            return MALFORMED
        *authzid, user = (read_name((name or "").encode()) for name in names)
        if user is None:
            return Failure(Reason.WRONG, why="a name that nobody can have")
        if authzid and not same(authzid[0], user, self._terms.realm):
            return Failure(Reason.WRONG, user, "asks to act as somebody else")
        known = await self._terms.accounts.scram(self._base, user, self._terms.attempt)
        self._account = known or made_up(self._terms.decoy, key(user, self._terms.realm))
        self._user, self._gs2, self._binding = user, match["gs2"], match["type"] or ""
        self._nonce = match["nonce"] + self._terms.nonce()
        salt = base64.b64encode(self._account.salt).decode("ascii")
        server_first = f"r={self._nonce},s={salt},i={self._account.iterations}"
        self._said = f"{match['bare']},{server_first}"
        self._step = self._client_final
        return Challenge(server_first.encode())

    def _check_binding_type(self, flag: str, type: str | None) -> Failure | None:
        """RFC 5802 §6: -PLUS is always bound, without it nothing is, and a client that says it was offered no -PLUS
        when it was is one that somebody lies to."""
        if (type is not None) != self._mechanism.endswith(PLUS):
            return MALFORMED
        if type is not None and not self._terms.bindings.get(type):
            return Failure(Reason.UNSUPPORTED, why=f"channel binding {type} is not available")
        if flag == "y" and any(name.endswith(PLUS) for name in self._terms.offered):
            return Failure(Reason.WRONG, why="somebody took -PLUS off the list of mechanisms")
        return None

    async def _client_final(self, text: str) -> Step:
        match = _CLIENT_FINAL.fullmatch(text)
        if match is None:
            return MALFORMED
        bound, proof = _decoded(match["binding"]), _decoded(match["proof"])
        if bound is None or proof is None or len(proof) != hashlib.new(self._hash).digest_size:
            return MALFORMED
        if not hmac.compare_digest(match["nonce"].encode(), self._nonce.encode()):
            return Failure(Reason.WRONG, self._user, "not the nonce that was given")
        values = self._terms.bindings[self._binding] if self._binding else (b"",)
        if not _one_of(bound, (self._gs2.encode() + value for value in values)):
            return Failure(Reason.WRONG, self._user, "the channel is not the one the client sees")
        message = f"{self._said},{match['without_proof']}".encode()
        for keys in self._account.keys:  # all of them: how long it takes does not say which
            if fits(self._hash, keys.stored_key, message, proof):
                self._fitting = keys
        if self._fitting is None:
            return Failure(Reason.WRONG, self._user, "wrong name or password")
        ours = signature(self._hash, self._fitting.server_key, message)
        self._step = self._end
        return Challenge(b"v=" + base64.b64encode(ours))

    async def _end(self, text: str) -> Step:
        if text or self._fitting is None:
            return MALFORMED
        return Success(replace(self._fitting.login, mechanism=self._mechanism))


def made_up(decoy: Decoy, name: str) -> ScramAccount:
    """Make the account of a name that nobody has; no proof fits it."""
    salt = hmac.digest(decoy.secret, name.encode(), "sha256")[:_SALT]
    return ScramAccount(salt, decoy.iterations, ())


def unescape(name: str) -> str | None:
    """Read a saslname (RFC 5802 §5.1: "," is =2C, "=" is =3D); None when there is another "="."""
    if any(match[1] is None for match in _ESCAPE.finditer(name)):
        return None
    return name.replace("=2C", ",").replace("=3D", "=")


def _one_of(given: bytes, acceptable: Iterable[bytes]) -> bool:
    return any(hmac.compare_digest(given, each) for each in acceptable)


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
