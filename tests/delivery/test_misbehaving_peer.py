"""Whatever a peer does, wherever it does it: one outcome per recipient, in order, and no message lost or half sent."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notqmail.config import Seconds
from notqmail.mail.outcome import Action, Outcome
from tests.support.clock import run
from tests.support.remote import LETTER, Streamed, entry, remote
from tests.support.smtp_peer import CLOSE, PIPELINED, STALL, Act, Raw, SmtpPeer

TO = ("bob@example.net", "carol@example.net", "dave@example.net")
LINES: list[Any] = [PIPELINED, ("8BITMIME",), None]
KEYS: Any = {key: Seconds(9) for key in ("banner_timeout", "command_timeout", "data_timeout")}


def check(outcomes: list[Outcome], peer: SmtpPeer, content: bytes = LETTER) -> None:
    assert [str(o.recipient.address) for o in outcomes] == list(TO)
    received = {r for message in peer.received for r in message.recipients}
    for outcome in outcomes:
        if outcome.action is Action.RELAYED:
            assert str(outcome.recipient.address) in received
        assert outcome.action is not Action.RELAYED or outcome.reply.positive
        assert outcome.action is not Action.DELAYED or outcome.reply.transient
        assert outcome.action is not Action.FAILED or outcome.reply.permanent
    assert all(message.content == content for message in peer.received if message.recipients)


async def attempt(peer: SmtpPeer, content: Any = LETTER) -> list[Outcome]:
    async with (
        peer,
        remote(peer, final_timeout=Seconds(9), quit_timeout=Seconds(1), **KEYS) as transport,
    ):
        return list(await transport.deliver(entry(*TO, content=content)))


@pytest.mark.parametrize("lines", LINES, ids=["pipelining", "plain", "helo"])
@pytest.mark.parametrize(
    "act", [CLOSE, STALL, b"\r\n", b"\xff\x00\r\n", b"-\r\n", b"x" * 70_000, b"421 bye\r\n", b"250 more\r\n" * 9]
)  # fmt: skip
def test_session_may_be_cut_after_every_octet(lines: Any, act: Act | bytes) -> None:
    spoken = 400 if lines else 180
    relayed = 0
    for at in range(0, spoken, 1 if isinstance(act, Act) else 5):
        peer = SmtpPeer(lines=lines, cut=(at, act))
        outcomes = run(attempt(peer))
        check(outcomes, peer)
        if isinstance(act, Act):
            assert not any(o.action is Action.FAILED for o in outcomes)
        relayed += outcomes[0].action is Action.RELAYED

    assert 0 < relayed < spoken


STEPS = [
    "BANNER",
    "EHLO",
    "HELO",
    "MAIL",
    *(f"RCPT {to}" for to in TO),
    "DATA",
    ".",
    "RSET",
    "QUIT",
]
ANSWERS: Any = st.one_of(
    st.sampled_from(
        [
            CLOSE,
            STALL,
            "421 4.3.2 closing",
            "450 4.2.0 later",
            "452 4.5.3 too many",
            "550 5.1.1 no",
            "503 5.5.1 order",
            "354 go",
            "250 ok",
            "220 hello",
            "199 what",
            "250 a\nb\nc",
        ]
    ),
    st.binary(max_size=30).map(Raw),
    st.binary(max_size=30).map(lambda octets: Raw(octets + b"\r\n", then=CLOSE)),
)


@settings(max_examples=150)
@given(
    st.sampled_from(LINES),
    st.dictionaries(
        st.sampled_from(STEPS), st.one_of(ANSWERS, st.lists(ANSWERS, min_size=1, max_size=3))
    ),
)
def test_any_answers_make_one_outcome_for_each_recipient(
    lines: Any, replies: dict[str, Any]
) -> None:
    peer = SmtpPeer(lines=lines, replies=replies)

    check(run(attempt(peer)), peer)


LARGE = b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * 300_000


class HalfReader:
    """A server that reads so many octets of the message and then answers, or not, and hangs up."""

    def __init__(self, octets: int, answer: bytes) -> None:
        self.octets, self.answer = octets, answer
        self.over = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"220 x\r\n")
            for reply in (b"250 x\r\n", b"250 ok\r\n", *[b"250 ok\r\n"] * 3, b"354 go\r\n"):
                await reader.readline()
                writer.write(reply)
            await reader.readexactly(self.octets)
            writer.write(self.answer)
            await writer.drain()
            if self.answer:
                await reader.read()  # to the end: else the kernel may throw our answer away
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.over.set()


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (b"", "delayed 451 4.4.2"),
        (b"552 5.3.4 too large\r\n", "failed 552 5.3.4"),
        (b"452 4.3.1 disk full\r\n", "delayed 452 4.3.1"),
        (b"421 4.3.2 closing\r\n", "delayed 421 4.3.2"),
        (b"250 2.0.0 ok already\r\n", "delayed 451 4.5.0"),
        (b"what\r\n", "delayed 451 4.5.0"),
    ],
)
@pytest.mark.parametrize("octets", [1, 1000, 1_000_000])
async def test_message_that_is_answered_before_its_end_is_cut_off(
    answer: bytes, word: str, octets: int
) -> None:
    half = HalfReader(octets, answer)
    content = Streamed([LARGE[n : n + 65536] for n in range(0, len(LARGE), 65536)])
    async with await asyncio.start_server(half.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with remote() as transport:
            to = entry(*TO, content=content, nexthop=f"127.0.0.1:{port}")
            outcomes = await transport.deliver(to)
            await half.over.wait()

    assert [f"{o.action} {o.reply.code} {o.reply.enhanced}" for o in outcomes] == [word] * 3
    assert content.opened == content.closed
