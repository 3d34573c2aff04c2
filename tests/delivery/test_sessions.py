"""Sessions that carry more than one message, and how they end."""

import asyncio
from typing import Any

import pytest

from notqmail.config import Seconds
from tests.support.clock import settle_down, virtual_time
from tests.support.remote import entry, remote
from tests.support.smtp_peer import CLOSE, PIPELINED, STALL, Raw, SmtpPeer

BOB = "bob@example.net"


def said(outcomes: Any) -> list[str]:
    return [f"{o.action} {o.reply.code} {o.reply.enhanced}".rstrip() for o in outcomes]


RELAYED = ["relayed 250 2.0.0"]


async def test_next_message_goes_over_the_same_session() -> None:
    async with SmtpPeer() as peer, remote(peer) as transport:
        for _ in range(3):
            assert said(await transport.deliver(entry(BOB))) == RELAYED

    assert len(peer.sessions) == 1
    assert peer.sessions[0].verbs == ["EHLO", *["MAIL", "RCPT", "DATA"] * 3, "QUIT"]


async def test_session_is_shared_by_domains_of_one_lane() -> None:
    zones: Any = {"other.example": {"MX": "10 mx1.example.net"}}
    async with SmtpPeer() as peer, remote(peer, zones=zones) as transport:
        await transport.deliver(entry(BOB))
        await transport.deliver(entry("x@other.example", nexthop="other.example"))

    assert len(peer.sessions) == 1


async def test_session_is_not_shared_with_another_destination() -> None:
    zones: Any = {"other.example": {"A": "127.0.0.1"}}
    async with SmtpPeer() as peer, remote(peer, zones=zones) as transport:
        await transport.deliver(entry(BOB))
        await transport.deliver(entry("x@other.example", nexthop="other.example"))

    assert len(peer.sessions) == 2


async def test_messages_at_once_have_a_session_each() -> None:
    async with SmtpPeer() as peer, remote(peer) as transport:
        await asyncio.gather(*(transport.deliver(entry(BOB)) for _ in range(5)))

    assert len(peer.sessions) == 5
    assert len(peer.messages) == 5


async def test_session_carries_only_so_many_messages() -> None:
    async with SmtpPeer() as peer, remote(peer, reuse=2) as transport:
        for _ in range(4):
            await transport.deliver(entry(BOB))

    assert [s.verbs.count("MAIL") for s in peer.sessions] == [2, 2]
    assert [s.verbs[-1] for s in peer.sessions] == ["QUIT", "QUIT"]


async def test_server_may_bound_the_messages_of_a_session() -> None:
    async with (
        SmtpPeer(lines=("PIPELINING", "LIMITS MAILMAX=1")) as peer,
        remote(peer) as transport,
    ):
        for _ in range(2):
            await transport.deliver(entry(BOB))

    assert [s.verbs.count("MAIL") for s in peer.sessions] == [1, 1]


async def test_reuse_of_one_is_no_reuse() -> None:
    async with SmtpPeer() as peer, remote(peer, reuse=1) as transport:
        await transport.deliver(entry(BOB))
        await settle_down()
        while not peer.sessions[0].ended:
            await asyncio.sleep(0.001)

        assert peer.sessions[0].verbs[-1] == "QUIT"


@virtual_time
async def test_idle_session_is_ended_after_its_time() -> None:
    async with SmtpPeer() as peer, remote(peer, idle=Seconds(5)) as transport:
        await transport.deliver(entry(BOB))
        await asyncio.sleep(4.9)
        assert not peer.sessions[0].ended

        await asyncio.sleep(0.2)
        await settle_down()

        assert peer.sessions[0].verbs[-1] == "QUIT"


async def test_only_so_many_idle_sessions_are_kept() -> None:
    async with SmtpPeer() as peer, remote(peer, idle_connections=2) as transport:
        await asyncio.gather(*(transport.deliver(entry(BOB)) for _ in range(4)))
        while sum(session.ended for session in peer.sessions) < 2:
            await asyncio.sleep(0.001)

        assert sum(session.ended for session in peer.sessions) == 2


async def test_idle_sessions_can_be_switched_off() -> None:
    async with SmtpPeer() as peer, remote(peer, idle_connections=0) as transport:
        for _ in range(2):
            await transport.deliver(entry(BOB))

    assert len(peer.sessions) == 2


async def test_transaction_that_came_to_nothing_is_reset_before_the_next() -> None:
    replies: Any = {"RCPT": ["550 5.1.1 no", "250 ok"]}
    async with SmtpPeer(lines=("8BITMIME",), replies=replies) as peer, remote(peer) as transport:
        assert said(await transport.deliver(entry("u@example.net"))) == ["failed 550 5.1.1"]
        assert said(await transport.deliver(entry("u@example.net"))) == RELAYED

    assert peer.sessions[0].verbs == [
        "EHLO",
        "MAIL",
        "RCPT",
        "RSET",
        "MAIL",
        "RCPT",
        "DATA",
        "QUIT",
    ]


async def test_session_whose_reset_is_refused_is_not_used_again() -> None:
    replies: Any = {"RCPT": ["550 5.1.1 no", "250 ok"], "RSET": "421 4.3.2 closing"}
    async with SmtpPeer(lines=(), replies=replies) as peer, remote(peer) as transport:
        await transport.deliver(entry("u@example.net"))
        assert said(await transport.deliver(entry("u@example.net"))) == RELAYED

    assert len(peer.sessions) == 2


@pytest.mark.parametrize(
    "answer",
    [CLOSE, "421 4.4.2 idle too long", Raw(b"", then=CLOSE)],
    ids=str,
)
@pytest.mark.parametrize("lines", [PIPELINED, ("8BITMIME",)], ids=["pipelining", "plain"])
async def test_idle_session_that_turns_out_dead_is_no_failure(
    answer: Any, lines: tuple[str, ...]
) -> None:
    async with (
        SmtpPeer(lines=lines, replies={"MAIL": ["250 ok", answer, "250 ok"]}) as peer,
        remote(peer) as transport,
    ):
        for _ in range(2):
            assert said(await transport.deliver(entry(BOB))) == RELAYED

    assert len(peer.sessions) == 2


@virtual_time
async def test_idle_session_that_says_nothing_more_is_no_failure() -> None:
    async with (
        SmtpPeer(replies={"MAIL": ["250 ok", STALL, "250 ok"]}) as peer,
        remote(peer) as transport,
    ):
        await transport.deliver(entry(BOB))
        assert said(await transport.deliver(entry(BOB))) == RELAYED


async def test_refusal_over_an_idle_session_counts() -> None:
    async with (
        SmtpPeer(replies={"MAIL": ["250 ok", "450 4.7.1 too much mail"]}) as peer,
        remote(peer) as transport,
    ):
        await transport.deliver(entry(BOB))
        assert said(await transport.deliver(entry(BOB))) == ["delayed 450 4.7.1"]

    assert len(peer.sessions) == 1


async def test_session_the_server_closes_while_idle_is_forgotten() -> None:
    says = Raw(b"250 2.0.0 taken\r\n", then=CLOSE)
    async with SmtpPeer(replies={".": says}) as peer, remote(peer) as transport:
        await transport.deliver(entry(BOB))
        await settle_down()

        assert len(transport._setup.sessions.pool) == 0


@pytest.mark.parametrize(
    "octets", [b"421 4.4.2 idle\r\n", b"250 surprise\r\n", b"2", b"nonsense\r\n"]
)
async def test_session_that_speaks_unasked_is_not_used_again(octets: bytes) -> None:
    says = [Raw(b"250 2.0.0 taken\r\n" + octets), "250 2.0.0 taken"]
    async with SmtpPeer(replies={".": says}) as peer, remote(peer) as transport:
        for _ in range(2):
            assert said(await transport.deliver(entry(BOB))) == RELAYED

    assert len(peer.sessions) == 2


async def test_closing_ends_what_is_idle_and_keeps_nothing_more() -> None:
    async with SmtpPeer() as peer, remote(peer) as transport:
        await transport.deliver(entry(BOB))
        await transport.close()
        assert peer.sessions[0].verbs[-1] == "QUIT"

        await transport.deliver(entry(BOB))
        assert len(transport._setup.sessions.pool) == 0


@virtual_time
async def test_server_that_does_not_answer_quit_does_not_hold_up_the_end() -> None:
    async with SmtpPeer(replies={"QUIT": STALL}) as peer:
        async with remote(peer, quit_timeout=Seconds(3)) as transport:
            await transport.deliver(entry(BOB))
            started = asyncio.get_running_loop().time()

        assert asyncio.get_running_loop().time() - started == pytest.approx(3, abs=0.5)
