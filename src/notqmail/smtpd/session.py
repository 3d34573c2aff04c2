"""The shell around a dialogue: transport, TLS, time and back-pressure; no SMTP.

    accepted ──► (PROXY header) ──► (TLS, on an implicit door) ──► banner, dialogue ──► STARTTLS ──► TLS, dialogue

Driven from the protocol callback, so that a command whose stages need not wait costs no task and no wake-up.
At most one coroutine of the dialogue runs at a time, owned by the listener: a client that hangs up does not
cancel a commit.
"""

import asyncio
import logging
from typing import cast

from notqmail.log import event
from notqmail.mail.errors import RemoteProtocolError
from notqmail.mail.reply import Reply
from notqmail.policy.transaction import Peer, Session
from notqmail.smtp.proxy import Malformed, ProxyReader
from notqmail.smtpd import replies
from notqmail.smtpd.dialogue import Dialogue, Work
from notqmail.smtpd.registry import Registry, peer_of
from notqmail.smtpd.service import Service
from notqmail.smtpd.wire import Wire

READ_AHEAD = 262_144  # octets read and not yet worked off before the socket is left alone

_log = logging.getLogger("notqmail.smtpd")


class SmtpSession(asyncio.Protocol):
    """One connection."""

    def __init__(self, service: Service, registry: Registry) -> None:
        self._service = service
        self._registry = registry
        self._loop = registry.loop
        self._wire: Wire
        self._peer: Peer
        self._proxy: ProxyReader | None = None  # while its header is awaited
        self._dialogue: Dialogue | None = None
        self._until: float | None = None  # when a PROXY header or a handshake has taken too long
        self._working = False
        self._opened = False
        self._admitted = False
        self._lost = False
        self._ended = False  # the client has sent all it will send
        self._reading = True
        self._writable = True
        self._timer: asyncio.TimerHandle | None = None
        self._accepted = 0
        self._heard = self._since = 0.0

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio.Transport in all but inheritance
        self._wire = Wire(cast(asyncio.Transport, transport), self._registry)
        self._heard = self._since = self._loop.time()
        self._peer = peer = peer_of(transport)
        refusal = self._registry.admit(self)
        if refusal is not None:
            self._turn_away(refusal)
            return
        self._admitted = True
        if peer.address in self._service.doors.proxy:
            self._proxy = ProxyReader()
            self._allow(self._service.doors.proxy_timeout)
        else:
            self._meet(peer)

    def data_received(self, data: bytes) -> None:
        plain: bytes | None = data
        if self._proxy is not None:
            plain = self._introduced(self._proxy, data)
        if plain is not None:
            plain = self._decrypted(plain)
        dialogue = self._dialogue
        if dialogue is None or not plain or self._lost:
            return
        self._heard = self._loop.time()
        if not self._opened:
            dialogue.session.early = True
        dialogue.feed(plain)
        if self._working or not self._writable or not self._opened:
            self._bound_input(dialogue)
        else:
            self._advance()

    def eof_received(self) -> bool:
        """A half-closed client is served to the end of what it sent; one that is not through the door yet has left."""
        if self._until is not None:
            self._fail("the client hung up")
            return False
        self._ended = True
        if not self._working and self._opened:
            self._advance()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._admitted:
            self._admitted = False
            self._registry.leave(self)
        self._wire.lost()
        if self._lost:
            return
        self._lost = True
        if self._timer is not None:
            self._timer.cancel()
        if self._until is not None:
            self._fail("the client hung up")
        dialogue = self._dialogue
        if dialogue is not None and not self._working:
            dialogue.close()

    def pause_writing(self) -> None:
        self._writable = False
        if self._wire.secure:  # records that say nothing are answered, too
            self._stop_reading()

    def resume_writing(self) -> None:
        self._writable = True
        self._heard = self._loop.time()
        if not self._working and not self._lost and self._opened:
            self._advance()

    # -- the registry's side ------------------------------------------------------------------------------------

    def drain(self) -> None:
        """No new command: 421 at the next command boundary. Who is not through the door yet is cut off."""
        dialogue = self._dialogue
        if self._lost:
            return
        if dialogue is None or self._until is not None:
            self.abort()
            return
        dialogue.draining = True
        if not self._working:
            self._advance()

    def abort(self) -> None:
        """Cut the connection now."""
        self._wire.abort()

    # -- the door: PROXY, TLS -----------------------------------------------------------------------------------

    def _introduced(self, reader: ProxyReader, data: bytes) -> bytes | None:
        """Read a PROXY header: give what follows it, None before its end."""
        found = reader.feed(data)
        if found is None:
            return None
        if isinstance(found, Malformed):
            self._fail(f"the proxy was cut off: {found.why}")
            return None
        self._proxy = self._until = None
        ends = found.ends
        if ends is None:
            self._meet(self._peer)
        else:
            self._meet(Peer(ends.source, ends.source_port, ends.destination, ends.destination_port))
        return found.rest

    def _meet(self, peer: Peer) -> None:
        """It is known who the client is: let it in, or tell it why not."""
        self._peer = peer
        self._service.met(peer.address)
        refusal = self._registry.place(self, peer.address)
        logins = self._service.logins
        if refusal is None and logins is not None and logins.guard.banned(peer.address) is not None:
            refusal = self._registry.turn_away(replies.BANNED)
        if refusal is not None:
            self._turn_away(refusal)
            return
        self._dialogue = self._make_dialogue(peer)
        if self._service.doors.implicit:
            self._begin_tls()
        else:
            self._greet()

    def _make_dialogue(self, peer: Peer) -> Dialogue:
        session = Session(
            id=self._registry.new_session_id(),
            listener=self._service.listener,
            kind=self._service.kind,
            peer=peer,
        )
        return Dialogue(session, self._service, self._crowded)

    def _turn_away(self, refusal: Reply) -> None:
        """Close with a word, where a word in clear is understood."""
        self._lost = True
        if self._timer is not None:
            self._timer.cancel()
        if not self._service.doors.implicit:
            self._wire.send(refusal.wire)
        self._wire.cut()

    def _crowded(self) -> bool:
        return self._registry.handshakes >= self._service.doors.handshakes

    def _begin_tls(self) -> None:
        doors = self._service.doors
        assert doors.tls is not None
        if self._crowded():
            self._fail(str(replies.TOO_MANY_HANDSHAKES))
            return
        self._wire.begin_tls(doors.tls, self._service.kind)
        self._allow(doors.handshake_timeout)

    def _decrypted(self, data: bytes) -> bytes:
        """Give what the client said; b"" during a handshake and after a failure."""
        wire, shaking = self._wire, self._wire.shaking
        try:
            said = wire.receive(data)
        except RemoteProtocolError as error:
            self._fail(str(error))
            return b""
        if shaking and not wire.shaking:
            self._secured()
        if wire.behind and not self._lost:
            self._stop_reading()
            self._loop.call_soon(self._catch_up)
        if wire.ended and not self._ended:
            self._loop.call_soon(self.eof_received)  # after what it said before
        return said

    def _catch_up(self) -> None:
        """Look at what came and had to wait for others' turns."""
        assert self._dialogue is not None
        if not (self._lost or self._dialogue.closed):
            self.data_received(b"")
            self._read_on()

    def _secured(self) -> None:
        """A handshake is done."""
        assert self._dialogue is not None
        self._until = None
        self._dialogue.secured(*self._wire.security())
        if self._opened:
            self._heard = self._loop.time()
            self._arm()
        else:
            self._greet()

    def _fail(self, why: str) -> None:
        """The client did not come through the door, or TLS broke: the journal knows why, and the connection ends."""
        self._until = None
        dialogue = self._dialogue
        if dialogue is None:
            dialogue = self._dialogue = self._make_dialogue(self._peer)
        event(_log, "not let in", s=dialogue.session.id, ip=self._peer.address, why=why)
        dialogue.close(why=why)
        if self._timer is not None:
            self._timer.cancel()
        self._proxy = None
        self._wire.cut()

    def _allow(self, seconds: float) -> None:
        """Let the client have so long, whatever it sends meanwhile."""
        self._until = self._loop.time() + seconds
        self._arm()

    def _greet(self) -> None:
        if self._service.greet_delay > 0:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(self._service.greet_delay, self._open)
        else:
            self._open()

    # -- work ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        assert self._dialogue is not None
        self._opened = True
        self._arm()
        # who talked before the banner is answered after it, and waits for nothing more
        self._run(self._dialogue.open() or self._dialogue.advance())

    def _advance(self) -> None:
        assert self._dialogue is not None
        self._run(self._dialogue.advance())

    def _run(self, work: Work | None) -> None:
        """Flush what was said; go on with `work` in a task of its own when something must be awaited."""
        self._flush()
        if work is not None:
            self._working = True
            self._registry.start(work, self._done)
            return
        dialogue = self._dialogue
        assert dialogue is not None
        if self._lost:
            dialogue.close()
        elif dialogue.closed or self._ended:
            self._close()
        elif dialogue.upgrading and not self._wire.secure:
            self._begin_tls()
        else:
            self._read_on()

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._working = False
        self._heard = self._loop.time()
        dialogue = self._dialogue
        assert dialogue is not None
        if task.cancelled() or task.exception() is not None:
            self._registry.broken(dialogue.session.id, task)
            dialogue.close(replies.BROKEN)
        if dialogue.accepted > self._accepted:
            self._accepted, self._since = dialogue.accepted, self._heard
        if self._lost:
            dialogue.close()
        elif self._writable:
            self._advance()

    def _flush(self) -> None:
        dialogue = self._dialogue
        assert dialogue is not None
        if dialogue.out:
            said = b"".join(dialogue.out)
            dialogue.out.clear()
            try:
                self._wire.send(said, last=dialogue.closed)
            except RemoteProtocolError as error:
                self._fail(str(error))

    def _bound_input(self, dialogue: Dialogue) -> None:
        if dialogue.pending > READ_AHEAD:
            self._stop_reading()

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._wire.pause()

    def _read_on(self) -> None:
        """Read again, when all that came was looked at and there is room for answers."""
        dialogue, wire = self._dialogue, self._wire
        if self._reading or wire.behind or (wire.secure and not self._writable):
            return
        if dialogue is not None and (dialogue.closed or dialogue.pending > READ_AHEAD):
            return
        self._reading = True
        wire.resume()

    def _close(self) -> None:
        assert self._dialogue is not None
        self._dialogue.close()
        if self._timer is not None:
            self._timer.cancel()
        self._wire.close()

    # -- time ---------------------------------------------------------------------------------------------------

    def _deadline(self) -> float:
        """When silence or the session has lasted too long; both restart with progress."""
        if self._until is not None:
            return self._until
        limits = self._service.limits
        dialogue = self._dialogue
        assert dialogue is not None
        silence = limits.data_timeout if dialogue.receiving else limits.command_timeout
        return min(self._heard + silence, self._since + limits.session_timeout)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline(), self._tick)

    def _tick(self) -> None:
        if self._loop.time() < self._deadline() or self._working:
            when = max(self._deadline(), self._loop.time() + 1.0)
            self._timer = self._loop.call_at(when, self._tick)
            return
        self._timer = None
        if self._until is not None:
            self._fail(
                "PROXY header took too long" if self._proxy else "TLS handshake took too long"
            )
            return
        if not self._writable:
            self._wire.abort()
            return
        dialogue = self._dialogue
        assert dialogue is not None
        dialogue.close(replies.TIMEOUT)
        self._flush()
        self._close()
