"""The shell around the dialogue: transport, time, back-pressure and limits, on a transport that records."""

import asyncio
from typing import Any

import pytest

from notqmail.config import Limits, Seconds
from notqmail.policy.verdict import ACCEPT
from notqmail.smtpd.session import READ_AHEAD
from tests.support.session import House, Transport, run

GREETED = b"EHLO c.example\r\n"
ADDRESSED = GREETED + b"MAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.org>\r\n"


def test_replies_to_a_pipeline_leave_in_one_write():
    async def scenario() -> None:
        line = House().connect()
        before = len(line.written)
        writes: list[bytes] = []
        line.write = writes.append  # type: ignore[method-assign]

        line.protocol.data_received(ADDRESSED)

        assert before > 0
        assert len(writes) == 1
        line.abort()
        await asyncio.sleep(0)

    run(scenario())


def test_silence_is_answered_421_and_the_end():  # LIBRARIES §1 fault 5
    async def scenario() -> None:
        house = House()
        line = house.connect()

        await asyncio.sleep(299)
        assert not line.closed
        await asyncio.sleep(2)

        assert line.replies()[-1] == "421 4.4.2"
        assert line.closed
        assert len(house.registry) == 0

    run(scenario())


def test_progress_restarts_the_timeout_in_the_middle_of_a_message():  # LIBRARIES §1 fault 5
    async def scenario() -> None:
        house = House(limits=Limits(data_timeout=Seconds(10)))
        line = house.connect()
        line.protocol.data_received(ADDRESSED + b"DATA\r\n")

        for _ in range(100):
            await asyncio.sleep(9)
            line.protocol.data_received(b"another line\r\n")
        line.protocol.data_received(b".\r\n")
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert line.replies()[-1] == "250 2.0.0"
        line.abort()
        await asyncio.sleep(0)

    run(scenario())


def test_a_session_that_never_gets_a_message_through_ends():
    async def scenario() -> None:
        house = House(limits=Limits(session_timeout=Seconds(600), commands=10000))
        line = house.connect()
        line.protocol.data_received(GREETED)

        for _ in range(601):
            await asyncio.sleep(1)
            if not line.closed:
                line.protocol.data_received(b"NOOP\r\n")

        assert line.replies()[-1] == "421 4.4.2"

    run(scenario())


def test_a_half_closed_client_is_served_to_the_end():  # LIBRARIES §1 fault 4
    async def scenario() -> None:
        house = House()
        line = house.connect()

        line.protocol.data_received(ADDRESSED + b"DATA\r\nx\r\n.\r\nNOOP\r\n")
        assert line.protocol.eof_received() is True
        for _ in range(5):
            await asyncio.sleep(0)

        assert line.replies()[-2:] == ["250 2.0.0", "250 2.0.0"]
        assert line.closed

    run(scenario())


def test_a_client_that_hangs_up_does_not_cancel_the_commit():  # LIBRARIES §1 fault 4
    async def scenario() -> None:
        house = House()
        gate = asyncio.get_running_loop().create_future()
        house.intake.gate = gate
        line = house.connect()
        line.protocol.data_received(ADDRESSED + b"DATA\r\nx\r\n.\r\n")
        await asyncio.sleep(0)

        line.protocol.connection_lost(ConnectionResetError())
        gate.set_result(None)
        await asyncio.sleep(1)

        assert len(house.intake.accepted) == 1
        assert len(house.registry) == 0

    run(scenario())


class Waits:
    """A stage that never answers until it is told to."""

    def __init__(self) -> None:
        self.gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def on_mail(self, txn: Any) -> Any:
        await self.gate
        return ACCEPT


def test_what_comes_in_while_we_wait_is_bounded():
    async def scenario() -> None:
        stage = Waits()
        house = House(stages=[stage])
        line = house.connect()
        line.protocol.data_received(GREETED + b"MAIL FROM:<>\r\n")

        line.protocol.data_received(b"NOOP\r\n" * (READ_AHEAD // 6 + 1))
        assert line.reading is False
        stage.gate.set_result(None)
        await asyncio.sleep(1)

        assert line.replies()[-1] == "421 4.7.0"  # too many commands
        assert line.closed

    run(scenario())


def test_reading_resumes_when_what_was_held_is_worked_off():
    async def scenario() -> None:
        stage = Waits()
        house = House(stages=[stage], limits=Limits(commands=100_000))
        line = house.connect()
        line.protocol.data_received(GREETED + b"MAIL FROM:<>\r\n")
        line.protocol.data_received(b"NOOP\r\n" * (READ_AHEAD // 6 + 1))

        stage.gate.set_result(None)
        await asyncio.sleep(1)

        assert line.reading is True
        line.abort()
        await asyncio.sleep(0)

    run(scenario())


def test_a_client_that_does_not_read_gets_no_more_work_and_is_cut():
    async def scenario() -> None:
        house = House()
        line = house.connect()
        line.protocol.pause_writing()
        before = line.written

        line.protocol.data_received(GREETED)
        assert line.written == before
        await asyncio.sleep(301)

        assert line.aborted

    run(scenario())


def test_a_client_that_reads_again_is_answered():
    async def scenario() -> None:
        line = House().connect()
        line.protocol.pause_writing()
        line.protocol.data_received(b"HELO c.example\r\n")

        line.protocol.resume_writing()

        assert line.replies()[-1] == "250 mx.ex"
        line.abort()
        await asyncio.sleep(0)

    run(scenario())


def test_a_last_reply_nobody_reads_does_not_keep_the_connection():
    async def scenario() -> None:
        line = House().connect()
        line.stuck = 100

        line.protocol.data_received(b"QUIT\r\n")
        assert line.closed
        assert not line.aborted
        await asyncio.sleep(11)

        assert line.aborted

    run(scenario())


def test_who_talks_before_a_delayed_banner_is_known_as_early():
    async def scenario() -> None:
        house = House(greet_delay=5.0)
        patient, hasty = house.connect(), house.connect()
        hasty.protocol.data_received(GREETED)

        await asyncio.sleep(4)
        assert patient.written == hasty.written == b""
        await asyncio.sleep(2)

        assert patient.replies() == ["220 mx.ex"]
        assert hasty.replies()[0] == "220 mx.ex"
        assert patient.protocol._dialogue.session.early is False  # type: ignore[union-attr]
        assert hasty.protocol._dialogue.session.early is True  # type: ignore[union-attr]
        for line in (patient, hasty):
            line.abort()
        await asyncio.sleep(0)

    run(scenario())


@pytest.mark.parametrize("ended", [False, True])
def test_what_was_said_before_the_banner_is_answered_after_it(ended: bool):
    async def scenario() -> None:
        line = House(greet_delay=5.0).connect()
        line.protocol.data_received(ADDRESSED)
        if ended:
            line.protocol.eof_received()

        await asyncio.sleep(6)

        assert line.replies()[0] == "220 mx.ex"
        assert line.replies()[-2:] == ["250 2.1.0", "250 2.1.5"]
        assert line.closed is ended
        line.abort()
        await asyncio.sleep(0)

    run(scenario())


class Breaks:
    """An intake with a bug."""

    async def accept(self, *_: Any) -> str:
        raise ZeroDivisionError("secret detail")


def test_a_bug_ends_one_session_with_421_and_says_nothing_of_itself(
    caplog: pytest.LogCaptureFixture,
):
    async def scenario() -> Transport:
        house = House()
        object.__setattr__(house.service, "intake", Breaks())
        line = house.connect()
        line.protocol.data_received(ADDRESSED + b"DATA\r\nx\r\n.\r\n")
        await asyncio.sleep(1)
        return line

    line = run(scenario())

    assert line.replies()[-1] == "421 4.3.0"
    assert b"secret" not in line.written
    assert "ZeroDivisionError" in caplog.text


# the registry


def test_connections_over_the_limit_of_one_ipv4_address_are_turned_away():
    async def scenario() -> None:
        house = House(limits=Limits(connections_per_ipv4=2))

        lines = [house.connect("192.0.2.7") for _ in range(3)]
        other = house.connect("192.0.2.8")

        assert [line.replies()[0] for line in lines] == ["220 mx.ex", "220 mx.ex", "421 4.7.0"]
        assert other.replies() == ["220 mx.ex"]
        lines[0].close()
        await asyncio.sleep(0)
        assert house.connect("192.0.2.7").replies() == ["220 mx.ex"]
        await house.registry.drain(1)

    run(scenario())


def test_a_whole_ipv6_64_is_one_client():
    async def scenario() -> None:
        house = House(limits=Limits(connections_per_ipv6=1))

        first = house.connect("2001:db8::1")
        second = house.connect("2001:db8::2:3")
        third = house.connect("2001:db8:0:1::1")

        assert [line.replies()[0] for line in (first, second, third)] == [
            "220 mx.ex",
            "421 4.7.0",
            "220 mx.ex",
        ]
        await house.registry.drain(1)

    run(scenario())


def test_connections_over_the_limit_of_the_listener_are_turned_away():
    async def scenario() -> None:
        house = House(limits=Limits(connections=1))

        first, second = house.connect("192.0.2.1"), house.connect("192.0.2.2")
        second.protocol.data_received(b"EHLO x\r\n")

        assert [line.replies() for line in (first, second)] == [["220 mx.ex"], ["421 4.7.0"]]
        assert house.counts.connections["mx"] == 1
        await house.registry.drain(1)
        assert len(house.registry) == 0

    run(scenario())


def test_a_mapped_ipv4_client_is_an_ipv4_client():
    async def scenario() -> None:
        house = House(limits=Limits(connections_per_ipv4=1))

        first, second = house.connect("192.0.2.1"), house.connect("::ffff:192.0.2.1")

        assert second.replies() == ["421 4.7.0"]
        first.close()
        await asyncio.sleep(0)

    run(scenario())


def test_a_drain_ends_idle_sessions_at_once_and_lets_a_message_finish():
    async def scenario() -> None:
        house = House()
        idle, busy = house.connect(), house.connect()
        busy.protocol.data_received(ADDRESSED + b"DATA\r\nhalf")

        draining = asyncio.ensure_future(house.registry.drain(30))
        await asyncio.sleep(0)
        assert idle.replies()[-1] == "421 4.3.2"
        assert not busy.closed
        assert house.connect().replies() == ["421 4.3.2"]
        busy.protocol.data_received(b" done\r\n.\r\n")
        await draining

        assert busy.replies()[-2:] == ["250 2.0.0", "421 4.3.2"]
        assert len(house.intake.accepted) == 1

    run(scenario())


def test_a_drain_cuts_who_does_not_finish_but_waits_for_a_commit():
    async def scenario() -> None:
        house = House()
        gate = asyncio.get_running_loop().create_future()
        house.intake.gate = gate
        slow, committing = house.connect(), house.connect()
        slow.protocol.data_received(ADDRESSED + b"DATA\r\nhalf")
        committing.protocol.data_received(ADDRESSED + b"DATA\r\nx\r\n.\r\n")
        asyncio.get_running_loop().call_later(60, gate.set_result, None)

        await house.registry.drain(30)

        assert slow.aborted
        assert len(house.intake.accepted) == 1

    run(scenario())
