"""The octets of one connection: in clear, or through TLS from some moment on."""

import asyncio
import ssl
from typing import Protocol

from notqmail.mail.errors import RemoteProtocolError
from notqmail.policy.transaction import Tls
from notqmail.smtpd.channel import FED, ServerTls, TlsChannel

TURN = 0.02  # seconds of decrypting before other sessions have theirs
LINGER = 10.0  # seconds for the last reply to leave before the connection is cut


class Handshakes(Protocol):
    """Who counts the handshakes of a listener."""

    def handshake_began(self) -> None: ...
    def handshake_ended(self, result: str) -> None:
        """`result` is a protocol version, or "failed"."""


class Wire:
    """A transport, and TLS over it. `shaking` is True during a handshake, `secure` from its beginning on, `ended` when
    the peer has said over TLS that nothing more comes."""

    def __init__(self, transport: asyncio.Transport, handshakes: Handshakes) -> None:
        self.shaking = False
        self._transport, self._handshakes = transport, handshakes
        self._channel: TlsChannel | None = None
        self._behind = b""  # came, and was not looked at
        self._lingering: asyncio.TimerHandle | None = None
        self._lost = False

    @property
    def secure(self) -> bool:
        return self._channel is not None

    @property
    def ended(self) -> bool:
        return self._channel is not None and self._channel.ended

    def begin_tls(self, tls: ServerTls, kind: str) -> None:
        """What comes from now on is a handshake."""
        self.shaking = True
        self._handshakes.handshake_began()
        self._channel = TlsChannel(tls, kind)

    def receive(self, octets: bytes) -> bytes:
        """Take what came, and give what the peer said. `behind` is True when not all of it was looked at: then call
        again with nothing, after others had their turn. Raises RemoteProtocolError: TLS has failed."""
        channel = self._channel
        if channel is None:
            return octets
        try:
            if len(octets) <= FED and not self._behind:  # the everyday piece
                said = channel.receive(octets)
            else:
                said = self._in_turns(channel, self._behind + octets)
        except ssl.SSLError as error:
            self._write(channel.take())  # the alert
            raise RemoteProtocolError(channel.failure(error)) from None
        if not (self.shaking and channel.patient):  # else with the next reply: one write(2) less
            self._write(channel.take())
        if self.shaking and channel.established:
            self._end_handshake(channel.describe().version)
        return said

    @property
    def behind(self) -> bool:
        return bool(self._behind)

    def _in_turns(self, channel: TlsChannel, octets: bytes) -> bytes:
        """Look at much, for a turn at the most; what is left waits in `_behind`."""
        now, said, at = asyncio.get_running_loop().time, [], 0
        enough = now() + TURN
        while at < len(octets) and not channel.ended:
            said.append(channel.receive(octets[at : at + FED]))
            at += FED
            if now() >= enough:
                break
        self._behind = b"" if channel.ended else octets[at:]
        return b"".join(said)

    def security(self) -> tuple[Tls, tuple[bytes, ...]]:
        """Say what protects the connection, and by which channel bindings it is known; after the handshake."""
        assert self._channel is not None
        return self._channel.describe(), self._channel.bindings()

    def send(self, octets: bytes, *, last: bool = False) -> None:
        """Say something; after the `last` of it nothing more comes. Raises RemoteProtocolError: TLS has failed."""
        channel = self._channel
        if channel is not None and not self._lost:
            try:
                channel.send(octets)
            except ssl.SSLError as error:
                raise RemoteProtocolError(channel.failure(error)) from None
            if last:
                channel.close()
            octets = channel.take()
        self._write(octets)

    def close(self) -> None:
        """Say that nothing more comes, and close."""
        if self._channel is not None:
            self._channel.close()
            self._write(self._channel.take())
        self.cut()

    def cut(self) -> None:
        """Close without a further word, when what was said has left, at the latest after LINGER."""
        self._transport.close()
        if self._lingering is None and self._transport.get_write_buffer_size():
            loop = asyncio.get_running_loop()
            self._lingering = loop.call_later(LINGER, self._transport.abort)

    def abort(self) -> None:
        """Cut the connection now, whatever is on its way."""
        self._transport.abort()

    def lost(self) -> None:
        """The connection is gone."""
        self._lost = True
        self._end_handshake("failed")
        if self._lingering is not None:
            self._lingering.cancel()

    def pause(self) -> None:
        """Read no more for now."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        self._transport.resume_reading()

    def _end_handshake(self, result: str) -> None:
        if self.shaking:
            self.shaking = False
            self._handshakes.handshake_ended(result)

    def _write(self, octets: bytes) -> None:
        if octets and not self._lost:
            self._transport.write(octets)
