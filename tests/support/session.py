"""A session on a transport that records, in virtual time."""

import asyncio
from typing import Any

from notqmail.smtpd.registry import Registry
from notqmail.smtpd.service import Service
from notqmail.smtpd.session import SmtpSession
from tests.support.clock import VirtualLoop
from tests.support.smtpd import Intake, Observer, Records, service


class Transport(asyncio.Transport):
    """Records what is written. `close` and `abort` end the connection at the next turn, as real ones do."""

    def __init__(self, protocol: SmtpSession, address: str = "192.0.2.1") -> None:
        super().__init__({"peername": (address, 1024), "sockname": ("192.0.2.2", 25)})
        self.protocol = protocol
        self.written = b""
        self.stuck = 0  # octets the peer does not read
        self.reading = True
        self.closed = self.aborted = False
        protocol.connection_made(self)

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written += data

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            if not self.stuck:
                asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        if not self.aborted:
            self.aborted = True
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def get_write_buffer_size(self) -> int:
        return self.stuck

    def send(self, octets: bytes) -> None:
        """Bring octets to the session, as the client's."""
        if not self.closed:
            self.protocol.data_received(octets)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def replies(self) -> list[str]:
        return [line[:9] for line in self.written.decode().splitlines()]


class House:
    """A registry and a service on a virtual-time loop."""

    def __init__(self, **options: Any) -> None:
        self.intake, self.counts, self.journal = Intake(), Observer(), Records()
        self.service: Service = service(
            intake=self.intake, counts=self.counts, journal=self.journal, **options
        )
        self.registry = Registry("mx", self.service.limits, self.counts)

    def connect(self, address: str = "192.0.2.1") -> Transport:
        return Transport(SmtpSession(self.service, self.registry), address)


def run(coroutine: Any) -> Any:
    """Run a scenario in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
