"""TLS between the wire and a dialogue, over memory: octets in, octets out, no socket.

OpenSSL is driven through two MemoryBIO, in the callback that brought the octets: a connection costs no task, its
memory is what OpenSSL needs (docs/adr/0012 has the figures), and what the client sent in clear behind STARTTLS cannot
reach the encrypted dialogue, because it was never fed here.
"""

import ssl
from contextlib import suppress
from typing import Any, Protocol

from notqmail.policy.transaction import Tls

_PIECE = 65_536  # octets of plaintext at once
FED = 4096  # octets off the wire at once
# A client that sends key updates (RFC 8446 §4.6.3, 27 octets each) makes us work and says nothing: it may send MUTE octets
# for the handshake, its certificate and a record's beginning, and TALK octets for each one that it says.
MUTE = 65_536
TALK = 32


class ServerTls(Protocol):
    """Our certificates, as a listener needs them (system/server_tls). What `wrap` gives, the others take."""

    def wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, kind: str) -> ssl.SSLObject:
        """Give the server's side of a new connection on a listener of this kind."""
        ...

    def describe(self, connection: Any) -> Tls:
        """Say what protects a connection whose handshake is done."""
        ...

    def bindings(self, connection: Any) -> tuple[bytes, ...]:
        """Give the channel bindings by which SCRAM may know it (tls-server-end-point, RFC 5929 §4)."""
        ...


class TlsChannel:
    """The server's side of one TLS connection. `established` after the handshake, `ended` when the peer has said that
    nothing more comes (close_notify)."""

    def __init__(self, tls: ServerTls, kind: str = "mx") -> None:
        self.established = self.ended = False
        self._closed = False
        self._heard = self._said = 0  # octets off the wire, octets of plaintext
        self._tls = tls
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._connection = tls.wrap(self._incoming, self._outgoing, kind)

    def receive(self, octets: bytes) -> bytes:
        """Take what came over the wire, FED octets at the most, and give what it says. Raises ssl.SSLError: then send
        `take`, which holds the alert, and cut the connection."""
        if self.ended:  # it has said that nothing more comes
            return b""
        self._heard += len(octets)
        self._incoming.write(octets)
        said = self._read() if self.established or self._shake() else b""
        self._said += len(said)
        if self._heard > MUTE + TALK * self._said:
            raise ssl.SSLError(1, "the peer says too little for what it sends")
        return said

    def _shake(self) -> bool:
        try:
            self._connection.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.established = True
        return True

    def _read(self) -> bytes:
        pieces = []
        while not self.ended:
            try:
                piece = self._connection.read(_PIECE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                piece = b""
            self.ended = not piece
            pieces.append(piece)
            if not (self._incoming.pending or self._connection.pending()):
                break  # there is no more, and asking for it would cost an exception
        return b"".join(pieces)

    @property
    def patient(self) -> bool:
        """True when what there is to `take` at the end of a handshake can wait for the first reply: in TLS 1.3 the
        client has all it needs by then, and what is left are session tickets (RFC 8446 §4.6.1)."""
        return self.established and self._connection.version() == "TLSv1.3"

    def send(self, octets: bytes) -> None:
        """Encrypt a reply; `take` has it then. Raises ssl.SSLError."""
        rest = memoryview(octets)
        while rest:
            rest = rest[self._connection.write(rest) :]

    def take(self) -> bytes:
        """Give what is to be written to the wire now."""
        return self._outgoing.read()

    def close(self) -> None:
        """Say that nothing more comes; `take` has it then. Does not wait for the peer to say so too."""
        if self.established and not self._closed:
            self._closed = True
            with suppress(
                ssl.SSLError
            ):  # it has not answered yet, or broke off: either way we are done
                self._connection.unwrap()

    def describe(self) -> Tls:
        """See ServerTls."""
        return self._tls.describe(self._connection)

    def bindings(self) -> tuple[bytes, ...]:
        """See ServerTls."""
        return self._tls.bindings(self._connection)

    def failure(self, error: ssl.SSLError) -> str:
        """Say in words what went wrong: a constant of OpenSSL's, never what the peer sent."""
        reason = getattr(error, "reason", None) or error.strerror or "the peer broke off"
        when = "TLS" if self.established else "TLS handshake"
        return f"{when}: {reason.lower().replace('_', ' ')}"
