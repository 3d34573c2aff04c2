"""The shell around a dialogue: transport, time and back-pressure; no SMTP.

Driven from the protocol callback, so that a command whose stages need not wait costs no task and no wake-up.
At most one coroutine of the dialogue runs at a time, owned by the listener: a client that hangs up does not
cancel a commit.
"""

import asyncio
from typing import cast

from notqmail.policy.transaction import Session
from notqmail.smtpd import replies
from notqmail.smtpd.dialogue import Dialogue, Work
from notqmail.smtpd.registry import Registry, peer_of
from notqmail.smtpd.service import Service

READ_AHEAD = 262_144  # octets read and not yet worked off before the socket is left alone
LINGER = 10.0  # seconds for the last reply to leave before the connection is cut


class SmtpSession(asyncio.Protocol):
    """One connection."""

    def __init__(self, service: Service, registry: Registry) -> None:
        self._service = service
        self._registry = registry
        self._loop = registry.loop
        self._transport: asyncio.Transport
        self._dialogue: Dialogue | None = None
        self._working = False
        self._opened = False
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
        self._transport = cast(asyncio.Transport, transport)
        peer = peer_of(transport)
        refusal = self._registry.admit(self, peer.address)
        if refusal is not None:
            self._lost = True
            self._transport.write(refusal.wire)
            self._transport.close()
            return
        self._heard = self._since = self._loop.time()
        session = Session(
            id=self._registry.new_session_id(),
            listener=self._service.listener,
            kind=self._service.kind,
            peer=peer,
        )
        self._dialogue = Dialogue(session, self._service)
        if self._service.greet_delay > 0:
            self._timer = self._loop.call_later(self._service.greet_delay, self._open)
        else:
            self._open()

    def data_received(self, data: bytes) -> None:
        dialogue = self._dialogue
        if dialogue is None:
            return
        self._heard = self._loop.time()
        if not self._opened:
            dialogue.session.early = True
        dialogue.feed(data)
        if self._working or not self._writable or not self._opened:
            self._bound_input(dialogue)
        else:
            self._advance()

    def eof_received(self) -> bool:
        """A half-closed client is served to the end of what it sent."""
        self._ended = True
        if not self._working and self._opened:
            self._advance()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        if self._timer is not None:
            self._timer.cancel()
        self._registry.leave(self)
        dialogue = self._dialogue
        if dialogue is not None and not self._working:
            dialogue.close()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._heard = self._loop.time()
        if not self._working and not self._lost:
            self._advance()

    # -- the registry's side ------------------------------------------------------------------------------------

    def drain(self) -> None:
        """No new command: 421 at the next command boundary."""
        dialogue = self._dialogue
        if dialogue is None or self._lost:
            return
        dialogue.draining = True
        if not self._working:
            self._advance()

    def abort(self) -> None:
        """Cut the connection now."""
        self._transport.abort()

    # -- work ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        assert self._dialogue is not None
        self._opened = True
        self._timer = None
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
        elif not self._reading:
            self._reading = True
            self._transport.resume_reading()

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
            if not self._lost:
                self._transport.write(b"".join(dialogue.out))
            dialogue.out.clear()

    def _bound_input(self, dialogue: Dialogue) -> None:
        if self._reading and dialogue.pending > READ_AHEAD:
            self._reading = False
            self._transport.pause_reading()

    def _close(self) -> None:
        assert self._dialogue is not None
        self._dialogue.close()
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._timer = self._loop.call_later(LINGER, self._transport.abort)

    # -- time ---------------------------------------------------------------------------------------------------

    def _deadline(self) -> float:
        """When silence or the session has lasted too long; both restart with progress."""
        limits = self._service.limits
        dialogue = self._dialogue
        assert dialogue is not None
        silence = limits.data_timeout if dialogue.receiving else limits.command_timeout
        return min(self._heard + silence, self._since + limits.session_timeout)

    def _arm(self) -> None:
        self._timer = self._loop.call_at(self._deadline(), self._tick)

    def _tick(self) -> None:
        dialogue = self._dialogue
        assert dialogue is not None
        if self._loop.time() < self._deadline() or self._working:
            when = max(self._deadline(), self._loop.time() + 1.0)
            self._timer = self._loop.call_at(when, self._tick)
            return
        self._timer = None
        if not self._writable:
            self._transport.abort()
            return
        dialogue.close(replies.TIMEOUT)
        self._flush()
        self._close()
