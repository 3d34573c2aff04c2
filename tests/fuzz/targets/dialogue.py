"""A whole session over a store in memory, fed with any octets cut anywhere."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from notqmail.config import Limits, Size
from notqmail.policy.helo import HeloSyntax
from notqmail.policy.transaction import Peer, Session
from notqmail.smtpd.dialogue import Dialogue, Work
from tests.fuzz.given import Given
from tests.fuzz.targets.smtp import assert_reply_lines
from tests.support.clock import FakeClock
from tests.support.smtpd import Intake, service

_LIMITS = Limits(
    command_line=512,
    text_line=1000,
    recipients=100,
    messages=3,
    errors=10,
    commands=10,
    header=Size(600),
    message=Size(1500),
)
_QUEUED = b"250 2.0.0 queued as "


def dialogue(data: bytes) -> None:
    """No split changes a reply; every reply is well formed; what is queued is what was answered 250, and is clean."""
    given = Given(data)
    repair = given.flag()
    pieces = given.pieces()
    said, kept = _held(pieces, repair=repair)

    assert (said, kept) == _held([b"".join(pieces)], repair=repair)
    assert_reply_lines(said)
    assert said.startswith(b"220 ")
    told = [line for line in said.split(b"\r\n") if line.startswith(_QUEUED)]
    assert told == [_QUEUED + name.encode() for name, _ in kept]
    for _, content in kept:
        bare = content.replace(b"\r\n", b"")
        assert not {*b"\r\n\0"} & {*bare}
        assert len(content) <= _LIMITS.message
        assert max(map(len, content.split(b"\r\n"))) + 2 <= _LIMITS.text_line


def _held(pieces: Iterable[bytes], *, repair: bool) -> tuple[bytes, Sequence[tuple[str, bytes]]]:
    """Hold one session; give all that was said and what was queued."""
    intake = Intake()
    made = service(
        [HeloSyntax()], limits=_LIMITS, intake=intake, clock=FakeClock(), repair_bare_lf=repair
    )
    held = Dialogue(Session("S1", "mx", "mx", Peer("192.0.2.1", 1024, "192.0.2.25", 25)), made)
    _finish(held.open())
    for piece in pieces:
        held.feed(piece)
        while (work := held.advance()) is not None:
            _finish(work)
        assert held.closed or held.receiving or held.pending < _LIMITS.command_line
    held.close()
    return b"".join(held.out), [(name, content) for name, _, content in intake.accepted]


def _finish(work: Work | None) -> None:
    """Run a coroutine that has nothing to wait for, because everything it asks is in memory."""
    with suppress(StopIteration):
        while work is not None:
            work.send(None)
