"""The client's side of TLS over a recording transport: real OpenSSL at both ends, no socket."""

import ssl
from pathlib import Path
from typing import Protocol

from notqmail.cli.certificate import self_signed
from notqmail.policy.transaction import Tls


class Wire(Protocol):
    """What a client needs of a transport in memory."""

    written: bytes

    def send(self, octets: bytes) -> None:
        """Bring octets to the server."""


class OneCertificate:
    """channel.ServerTls with a self-signed certificate for one name."""

    def __init__(self, place: Path, name: str = "mx.example.org") -> None:
        chain, key = self_signed([name])
        (place / "chain.pem").write_bytes(chain)
        (place / "key.pem").write_bytes(key)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(place / "chain.pem", place / "key.pem")

    def wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, kind: str) -> ssl.SSLObject:
        return self._context.wrap_bio(incoming, outgoing, server_side=True)

    def describe(self, connection: ssl.SSLObject) -> Tls:
        cipher = connection.cipher()
        assert cipher is not None
        return Tls(connection.version() or "", cipher[0])

    def bindings(self, connection: ssl.SSLObject) -> tuple[bytes, ...]:
        return (b"binding",)


class TlsClient:
    """Talks TLS over a wire. `said` is what the server has said since the handshake began."""

    def __init__(self, wire: Wire, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = newest
        self._wire = wire
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._connection = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname="mx.example.org"
        )
        self._read = len(wire.written)
        self.said = b""
        self.over = False

    def handshake(self) -> None:
        """Do it; raises ssl.SSLError."""
        for _ in range(4):
            try:
                self._connection.do_handshake()
            except ssl.SSLWantReadError:
                self._exchange()
            else:
                self._exchange()
                return
        raise AssertionError("the server said nothing that ends the handshake")

    def begin(self) -> bytes:
        """Give the ClientHello without sending it."""
        try:
            self._connection.do_handshake()
        except ssl.SSLWantReadError:
            return self._outgoing.read()
        raise AssertionError

    def say(self, octets: bytes) -> bytes:
        """Send octets, give what the server answers at once."""
        self._connection.write(octets)
        before = len(self.said)
        self._exchange()
        return self.said[before:]

    def hear(self) -> bytes:
        """Read what has come without sending anything."""
        before = len(self.said)
        self._exchange()
        return self.said[before:]

    def close(self) -> None:
        """Send close_notify."""
        try:
            self._connection.unwrap()
        except ssl.SSLWantReadError:
            self._exchange()

    def _exchange(self) -> None:
        if octets := self._outgoing.read():
            self._wire.send(octets)
        self._incoming.write(self._wire.written[self._read :])
        self._read = len(self._wire.written)
        while True:
            try:
                piece = self._connection.read(65536)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                piece = b""
            if not piece:
                self.over = True
                return
            self.said += piece
