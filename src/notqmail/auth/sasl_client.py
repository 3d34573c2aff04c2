"""SASL as a client, over values: PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 and -SHA-1 with and without -PLUS.

    exchange = client_exchange("SCRAM-SHA-256", user, password, None, nonce)
    AUTH SCRAM-SHA-256 base64(exchange.respond(None))
    334 …              base64(exchange.respond(challenge))      until there is no 334
    235                good only when exchange.complete: the server has proved itself too

The caller speaks SMTP: base64, the initial response only where the AUTH command stays within the length of a command
line (else it answers the first, empty challenge, RFC 4954 §4), and "*" after a ValueError. Nothing here is repeated
in a log: `repr` shows no secret, and no error carries one.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Collection
from typing import Protocol

from notqmail.auth.binding import END_POINT
from notqmail.auth.saslprep import prepare
from notqmail.auth.scram_keys import HASHES, MIN_ITERATIONS, derive, masked, signature

# strongest first: one that binds the channel before one that does not, and the password in clear last
STRENGTH = (
    "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN",
)  # fmt: skip
MAX_ITERATIONS = 1_000_000  # half a second of CPU; a server that asks for more wants to hold us

_SERVER_FIRST = re.compile(
    r"r=(?P<nonce>[!-+\--~]+),s=(?P<salt>[A-Za-z0-9+/]+={0,2}),i=(?P<iterations>[1-9][0-9]{0,8})(?:,[A-Za-z]=[^,\0]+)*"
)
_SERVER_FINAL = re.compile(
    r"(?:v=(?P<signature>[A-Za-z0-9+/]+={0,2})|e=(?P<error>[!-+\--~]+))(?:,[A-Za-z]=[^,\0]+)*"
)


class ClientExchange(Protocol):
    """One login. `complete` when all was said, and the server has shown that it knows the password where the
    mechanism has it do so."""

    @property
    def complete(self) -> bool: ...

    def respond(self, challenge: bytes | None) -> bytes:
        """Answer a challenge; None asks for the initial response. Raises ValueError when the server talks nonsense
        or cannot be who it should be."""
        ...


def strongest(offered: Collection[str], allowed: Collection[str], *, bound: bool) -> str | None:
    """Choose a mechanism, -PLUS only where the channel can be `bound`; None when there is none in common."""
    names = {name.upper() for name in offered}
    for name in STRENGTH:
        if name in allowed and name in names and (bound or not name.endswith("-PLUS")):
            return name
    return None


def client_exchange(
    mechanism: str, user: str, password: str, binding: bytes | None, nonce: str
) -> ClientExchange:
    """Begin a login. Raises ValueError for a mechanism that is not known, or a name or a password that cannot be one.

    `binding` is the tls-server-end-point value of the server's certificate, which -PLUS needs. Give it to a mechanism
    without -PLUS when the server offered none with it: the server then notices if somebody took it off the list (RFC
    5802 §6). `nonce` is 18 or more random octets as printable ASCII without a comma, new for each exchange.
    """
    if "\0" in user + password:
        raise ValueError("the name or the password has a NUL")
    if mechanism == "PLAIN":
        return _Lines((f"\0{user}\0{password}".encode(),))
    if mechanism == "LOGIN":
        return _Lines((user.encode(), password.encode()))
    base = mechanism.removesuffix("-PLUS")
    if base not in HASHES:
        raise ValueError(f"the mechanism {mechanism} is not known")
    if base == mechanism:
        return _Scram(base, user, password, ("n,," if binding is None else "y,,", b""), nonce)
    if binding is None:
        raise ValueError(f"{mechanism} needs TLS with a certificate that can be bound")
    return _Scram(base, user, password, (f"p={END_POINT},,", binding), nonce)


class _Lines:
    """PLAIN and LOGIN: what is said does not depend on what is asked. The prompts of LOGIN have no fixed text
    (draft-murchison-sasl-login), so they are not read."""

    def __init__(self, lines: tuple[bytes, ...]) -> None:
        self._lines, self._said = lines, 0

    @property
    def complete(self) -> bool:
        return self._said == len(self._lines)

    def respond(self, challenge: bytes | None) -> bytes:
        if self.complete:
            raise ValueError("the server asks for more than the mechanism has")
        self._said += 1
        return self._lines[self._said - 1]


class _Scram:
    """RFC 5802 §5: client-first, server-first, client-final, server-final."""

    def __init__(
        self, base: str, user: str, password: str, binding: tuple[str, bytes], nonce: str
    ) -> None:
        name = prepare(user, "the name").replace("=", "=3D").replace(",", "=2C")
        self._hash, self._nonce, (self._gs2, self._binding) = HASHES[base], nonce, binding
        self._password = prepare(password)
        self._first = f"n={name},r={nonce}"
        self._expected = b""
        self._step = self._client_first
        self.complete = False

    def respond(self, challenge: bytes | None) -> bytes:
        try:
            text = (challenge or b"").decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError("the server's message is not UTF-8") from None
        return self._step(text)

    def _client_first(self, text: str) -> bytes:
        if text:
            raise ValueError("the server speaks before it was spoken to")
        self._step = self._client_final
        return f"{self._gs2}{self._first}".encode()

    def _client_final(self, text: str) -> bytes:
        match = _SERVER_FIRST.fullmatch(text)
        if match is None:
            raise ValueError("the server's first message is not understood")
        nonce, iterations = match["nonce"], int(match["iterations"])
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise ValueError("the server's nonce is not made of ours")
        if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:  # fewer would give the password away
            raise ValueError(
                f"the server asks for {iterations} iterations; {MIN_ITERATIONS} to {MAX_ITERATIONS} are done"
            )
        keys = derive(self._hash, self._password, _decoded(match["salt"]), iterations)
        without_proof = f"c={_encoded(self._gs2.encode() + self._binding)},r={nonce}"
        message = f"{self._first},{text},{without_proof}".encode()
        proof = masked(self._hash, keys.stored_key, message, keys.client_key)
        self._expected = signature(self._hash, keys.server_key, message)
        self._step = self._end
        return f"{without_proof},p={_encoded(proof)}".encode()

    def _end(self, text: str) -> bytes:
        match = _SERVER_FINAL.fullmatch(text)
        if match is None:
            raise ValueError("the server's final message is not understood")
        if match["signature"] is None:
            raise ValueError(f"the server says {match['error'][:64]}")
        if not hmac.compare_digest(_decoded(match["signature"]), self._expected):
            raise ValueError("the server does not know the password: it is not who it should be")
        self._step = self._over
        self.complete = True
        return b""

    def _over(self, text: str) -> bytes:
        raise ValueError("the server asks for more than the mechanism has")


def _encoded(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("the server's message has no valid base64") from None
