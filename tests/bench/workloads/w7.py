"""W7: everything on. Mail comes in and is judged by SPF, DKIM and DMARC on warm DNS; mail goes out and is signed.

First all that comes in, to the Maildir, then all that goes out, to Postfix's smtp-sink. A message in the Maildir that
does not say that all three checks were passed is a failure, and so is one that leaves without a signature: a figure
for checks that were not made is worth nothing.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import authentic, names
from tests.bench.load import (
    OCTETS,
    Burst,
    files,
    sink,
    sink_place,
    timed,
    wait_count,
)
from tests.bench.peer import (
    ABROAD,
    Checks,
    Endpoint,
    Failed,
    Figures,
    Running,
    Setup,
    Submitting,
    Unavailable,
)
from tests.support.smtp_peer import SmtpPeer

_PATIENCE = 30  # seconds for one message
_PASSED = {"spf": "pass", "dkim": "pass", "dmarc": "pass"}


@dataclass(slots=True)
class W7:
    """So many messages in, and as many out."""

    name: str = "W7"
    messages: int = 2000  # each way
    sessions: int = 20
    octets: int = OCTETS
    warm: int = 200
    unit: str = "messages/s"
    _sink: Endpoint = field(default_factory=sink_place, init=False)
    _letter: Path = field(default=Path(), init=False)

    @property
    def title(self) -> str:
        return (
            f"{self.messages:,} messages of {self.octets} octets in, checked by SPF, DKIM (RSA 2048) and DMARC on warm DNS, "
            f"until the last is in the Maildir, then as many out, signed, until smtp-sink has the last; "
            f"{self.sessions} at once"
        )

    def setup(self, directory: Path) -> Setup:
        """See peer.Workload. The sender's names are published in the bench's own zone."""
        world = directory / "world"
        world.mkdir()
        theirs, ours = world / "theirs.pem", world / "ours.pem"
        for key in (theirs, ours):
            authentic.new_key(key)
        names.ZONES.update(authentic.zone(theirs))
        self._letter = world / "letter"
        self._letter.write_bytes(authentic.signed(authentic.message(self.octets), theirs))
        self._sink = sink_place()
        return Setup(directory, relay=self._sink, checks=Checks(authentic.SELECTOR, ours))

    def measure(self, server: Running) -> Figures:
        """See peer.Workload."""
        if not isinstance(server, Submitting):
            raise Unavailable("nobody has set up SPF, DKIM and DMARC for it")
        self._come(server, self.warm, self.warm)
        check(server.inbox("bench"))
        came = timed(
            server,
            self.messages,
            lambda: self._come(server, self.messages, self.warm + self.messages),
        )
        asyncio.run(self._check_signature(server, server.submission))
        with sink(self._sink) as there:
            self._go(server, server.submission, there.received, self.warm, self.warm)
            went = timed(
                server,
                self.messages,
                lambda: self._go(
                    server,
                    server.submission,
                    there.received,
                    self.messages,
                    self.warm + self.messages,
                ),
            )
        return both(came, went)

    def _come(self, server: Running, count: int, goal: int) -> None:
        """Send `count` more in, so that `goal` are in the Maildir."""
        burst = Burst(
            self.sessions, sender=authentic.SENDER, hello=authentic.HELLO, file=self._letter
        )
        burst.send(server, f"bench@{server.domain}", count)
        inbox = server.inbox("bench")
        wait_count(lambda: files(inbox), goal, f"messages are in {inbox}")

    def _go(
        self, server: Running, at: Endpoint, received: Callable[[], int], count: int, goal: int
    ) -> None:
        """Send `count` more out, so that the sink has counted `goal`."""
        self._outgoing(server).send(server, f"bench@{ABROAD}", count, at)
        wait_count(received, goal, "messages were relayed")

    def _outgoing(self, server: Running) -> Burst:
        return Burst(self.sessions, octets=self.octets, sender=f"bench@{server.domain}")

    async def _check_signature(self, server: Running, at: Endpoint) -> None:
        """Let one message leave and look at it. Raises Failed when it is not signed."""
        burst = self._outgoing(server)
        async with SmtpPeer(host=self._sink.host, port=self._sink.port) as there:
            await asyncio.to_thread(burst.send, server, f"bench@{ABROAD}", 1, at)
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    while not there.messages:
                        await asyncio.sleep(0.02)
            if not there.messages:
                raise Failed("what was submitted does not leave")
            header = there.messages[0].content.partition(b"\r\n\r\n")[0].lower()
        if b"dkim-signature:" not in header or f"d={server.domain}".encode() not in header:
            raise Failed("what leaves is not signed for its domain")


def check(inbox: Path) -> None:
    """See that the checks were made and passed. Raises Failed."""
    for path in inbox.iterdir():
        found = authentic.results(path.read_bytes())
        if found != _PASSED:
            said = ", ".join(f"{method}={result}" for method, result in found.items()) or "nothing"
            raise Failed(f"of an authentic message it says {said}")


def both(came: Figures, went: Figures) -> Figures:
    """The figures of as many messages in as out, together and apart."""
    assert came.rate is not None
    assert came.cpu is not None
    assert went.rate is not None
    assert went.cpu is not None
    return Figures(
        rate=2 / (1 / came.rate + 1 / went.rate),
        cpu=(came.cpu + went.cpu) / 2,
        memory=went.memory,
        more={
            "in, messages/s": came.rate,
            "in, CPU ms": came.cpu,
            "out, messages/s": went.rate,
            "out, CPU ms": went.cpu,
        },
    )


WORKLOADS = (W7(),)
