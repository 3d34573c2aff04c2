"""Reports as messages: a notice, and the entry it is about, become what enters the queue (RFC 3464, RFC 3461 §6).

The report has the null reverse-path, so that nothing answers it. It returns the whole message where that is short
and RET does not say HDRS, else the header; a delay or a success returns the header alone (RFC 3461 §6.2).
"""

import logging
from collections.abc import Sequence
from typing import Protocol

from notqmail.journal import origin_record
from notqmail.mail.dsn import MAX_RETURN, Kind, Original, Report, render
from notqmail.mail.entry import Entry, Routed
from notqmail.mail.envelope import Body, Envelope, Ret
from notqmail.mail.errors import SpoolError
from notqmail.mail.message import Message, Octets
from notqmail.ports import Clock, Journal
from notqmail.queue.conclude import Conclusion, Notice

_log = logging.getLogger("notqmail.queue")
_WHOLE = frozenset({Kind.FAILURE, Kind.DOUBLE})


class Door(Protocol):
    """What reports need of Intake."""

    def new_id(self) -> str: ...
    async def prepare(self, message: Message, txn: None, id: str) -> Routed: ...
    def route(self, message: Message, id: str) -> Routed: ...


class Reporter:
    """Makes what an attempt leaves to be told. `hostname` is our name, as an A-label."""

    def __init__(self, intake: Door, clock: Clock, journal: Journal, hostname: str) -> None:
        self._intake, self._clock, self._journal, self._hostname = intake, clock, journal, hostname

    async def reports(self, entry: Entry, conclusion: Conclusion) -> Sequence[Routed]:
        """Give the messages that tell of `conclusion`, prepared and routed, to be committed with it."""
        return [await self._report(notice, entry, conclusion) for notice in conclusion.notices]

    async def _report(self, notice: Notice, entry: Entry, conclusion: Conclusion) -> Routed:
        id, now = self._intake.new_id(), self._clock.now()
        message = await report_message(
            notice, entry, conclusion, id=id, hostname=self._hostname, now=now
        )
        self._journal.write(
            origin_record(
                id,
                now,
                parent=entry.id,
                why=notice.kind.value,
                sender=None,
                to=[notice.to.address],
            )
        )
        try:
            return await self._intake.prepare(message, None, id)
        except Exception:
            # a report without our trace is better than none
            _log.exception("report enters the queue unedited m=%s parent=%s", id, entry.id)
            return self._intake.route(message, id)


async def report_message(
    notice: Notice, entry: Entry, conclusion: Conclusion, *, id: str, hostname: str, now: float
) -> Message:
    """Make the message that tells `notice`; `id` is its own queue id."""
    envelope = entry.message.envelope
    report = Report(
        kind=notice.kind,
        id=id,
        hostname=hostname,
        to=notice.to.address,
        outcomes=notice.outcomes,
        original=await _original(entry, whole=notice.kind in _WHOLE),
        original_id=entry.id,
        born=entry.born,
        at=now,
        envid=envelope.envid,
        until=conclusion.deadline,
        utf8=envelope.smtputf8,
    )
    return Message(
        Envelope(
            sender=None,
            recipients=(notice.to,),
            smtputf8=report.smtputf8,
            body=Body.EIGHTBIT if report.smtputf8 else None,
        ),
        Octets(render(report)),
    )


async def _original(entry: Entry, *, whole: bool) -> Original:
    """Read as much of the message as a report returns. What cannot be read is left out: better a bounce without it
    than none."""
    wanted = whole and entry.message.envelope.ret is not Ret.HDRS
    head = bytearray()
    try:
        async for chunk in entry.message.chunks():
            head += chunk
            if len(head) > MAX_RETURN:
                break
    except SpoolError as error:
        _log.warning("report without the message m=%s error=%r", entry.id, str(error))
        return Original(bytes(head))
    return Original(bytes(head[:MAX_RETURN]), complete=wanted and len(head) <= MAX_RETURN)
