"""The queue of replies and its one timer, on a transport that is only pretended."""

import asyncio
from typing import Any

import pytest
from aiosmtplib import SMTPReadTimeoutError, SMTPServerDisconnected
from hypothesis import given
from hypothesis import strategies as st

from notqmail.delivery.protocol import ReplyProtocol
from notqmail.mail.errors import RemoteProtocolError
from tests.support.clock import run, virtual_time


class Wire(asyncio.Transport):
    """A transport whose peer takes `speed` octets a second, or with None everything at once."""

    def __init__(self, protocol: ReplyProtocol, speed: float | None = None) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False
        self._protocol = protocol
        self._speed = speed

    def write(self, data: Any) -> None:
        self.sent += data

    def get_write_buffer_size(self) -> int:
        if self._speed is None:
            return 0
        return max(0, int(len(self.sent) - asyncio.get_running_loop().time() * self._speed))

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    close = abort


async def connected(speed: float | None = None) -> tuple[ReplyProtocol, Wire]:
    """A protocol that has read its banner."""
    protocol = ReplyProtocol(asyncio.get_running_loop())
    wire = Wire(protocol, speed)
    protocol.connection_made(wire)
    protocol.data_received(b"220 hello\r\n")
    await protocol.reply(1)
    return protocol, wire


async def later(seconds: float, call: Any, *args: Any) -> None:
    await asyncio.sleep(seconds)
    call(*args)


async def test_replies_wait_in_order_until_they_are_read() -> None:
    protocol, wire = await connected()
    protocol.send(b"A\r\nB\r\nC\r\n", 3)
    protocol.data_received(b"250 a\r\n550 b\r\n25")
    protocol.data_received(b"0-c\r\n250 d\r\n")

    assert wire.sent == b"A\r\nB\r\nC\r\n"
    assert [(await protocol.reply(1)).text for _ in range(3)] == ["a", "b", "c\nd"]
    assert protocol.usable


@virtual_time
async def test_reply_is_waited_for() -> None:
    protocol, _ = await connected()
    protocol.send(b"A\r\n", 1)
    coming = asyncio.create_task(later(9, protocol.data_received, b"250 a\r\n"))

    assert (await protocol.reply(10)).text == "a"
    await coming


@virtual_time
async def test_silence_ends_the_wait() -> None:
    protocol, _ = await connected()
    protocol.send(b"A\r\n", 1)

    with pytest.raises(SMTPReadTimeoutError):
        await protocol.reply(10)
    assert asyncio.get_running_loop().time() == pytest.approx(10)


@virtual_time
async def test_part_of_a_reply_does_not_restart_the_time() -> None:
    protocol, _ = await connected()
    protocol.send(b"A\r\n", 1)
    coming = asyncio.create_task(later(9, protocol.data_received, b"250-a\r\n"))

    with pytest.raises(SMTPReadTimeoutError):
        await protocol.reply(10)
    assert asyncio.get_running_loop().time() == pytest.approx(10)
    await coming


@virtual_time
async def test_time_to_write_does_not_count_as_time_to_reply() -> None:
    """aiosmtplib cuts off a server that reads slowly but steadily."""
    protocol, _ = await connected(speed=100)
    protocol.send(b"x" * 10_000, 1)  # takes 100 seconds
    coming = asyncio.create_task(later(105, protocol.data_received, b"250 a\r\n"))

    assert (await protocol.reply(10)).text == "a"
    await coming


@virtual_time
async def test_peer_that_takes_nothing_is_given_up() -> None:
    protocol, _ = await connected(speed=0)
    protocol.send(b"x" * 10_000, 1)
    protocol.pause_writing()

    with pytest.raises(SMTPReadTimeoutError):
        await protocol.drain(10)
    assert asyncio.get_running_loop().time() == pytest.approx(10)


@virtual_time
async def test_room_is_waited_for_while_the_peer_takes_anything() -> None:
    protocol, _ = await connected(speed=100)
    protocol.send(b"x" * 10_000, 1)
    protocol.pause_writing()
    assert protocol.congested
    coming = asyncio.create_task(later(95, protocol.resume_writing))

    await protocol.drain(10)

    assert not protocol.congested
    await coming


@virtual_time
async def test_early_answer_ends_the_wait_for_room() -> None:
    protocol, _ = await connected(speed=0)
    protocol.send(b"x", 1)
    protocol.pause_writing()
    coming = asyncio.create_task(later(5, protocol.data_received, b"552 no\r\n"))

    await protocol.drain(10)

    assert protocol.answered
    await coming


@pytest.mark.parametrize("end", ["eof_received", "connection_lost"])
async def test_lost_connection_ends_the_wait_but_not_what_has_come(end: str) -> None:
    protocol, _ = await connected()
    protocol.send(b"A\r\nB\r\n", 2)
    protocol.data_received(b"250 a\r\n")
    protocol.eof_received() if end == "eof_received" else protocol.connection_lost(None)

    assert (await protocol.reply(1)).text == "a"
    with pytest.raises(SMTPServerDisconnected):
        await protocol.reply(1)
    with pytest.raises(SMTPServerDisconnected):
        protocol.send(b"C\r\n", 1)


async def test_what_is_no_reply_ends_the_session() -> None:
    protocol, wire = await connected()
    protocol.send(b"A\r\n", 1)
    protocol.data_received(b"nonsense\r\n")

    with pytest.raises(RemoteProtocolError):
        await protocol.reply(1)
    assert wire.closed


async def test_reply_that_nobody_asked_for_ends_the_session() -> None:
    protocol, wire = await connected()
    protocol.data_received(b"250 a\r\n")

    assert not protocol.usable
    assert wire.closed


async def test_unasked_421_is_read_by_the_next_command() -> None:
    protocol, wire = await connected()
    protocol.data_received(b"421 4.4.2 idle\r\n")
    assert not protocol.usable
    assert not wire.closed

    protocol.send(b"MAIL\r\n", 1)
    assert (await protocol.reply(1)).code == 421


async def test_end_is_told_once() -> None:
    protocol, _ = await connected()
    told: list[int] = []
    protocol.on_end = lambda: told.append(1)
    protocol.data_received(b"421 4.4.2 idle\r\n")
    protocol.eof_received()
    protocol.connection_lost(None)

    assert told == [1]


async def test_session_that_owes_a_reply_is_not_usable() -> None:
    protocol, _ = await connected()
    protocol.send(b"A\r\n", 1)
    assert not protocol.usable

    protocol.data_received(b"250 a\r\n")
    await protocol.reply(1)
    assert protocol.usable


@given(
    st.lists(st.sampled_from([b"250 a\r\n", b"550-x\r\n550 b\r\n", b"354 c\r\n"]), max_size=8),
    st.integers(1, 9),
)
def test_any_split_gives_the_same_replies(replies: list[bytes], size: int) -> None:
    async def test() -> list[str]:
        protocol, _ = await connected()
        protocol.send(b"", len(replies))
        octets = b"".join(replies)
        for at in range(0, len(octets), size):
            protocol.data_received(octets[at : at + size])
        return [str(await protocol.reply(1)) for _ in replies]

    words = {b"250 a\r\n": "250 a", b"550-x\r\n550 b\r\n": "550 x b", b"354 c\r\n": "354 c"}
    assert run(test()) == [words[reply] for reply in replies]
