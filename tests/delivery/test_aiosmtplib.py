"""What aiosmtplib does that a mail server must not: one regression test for each gap, against a real socket.

The faults were reproduced with aiosmtplib 5.1.3; its private names that we override are held here as well.
"""

import asyncio
import inspect
from typing import Any

import aiosmtplib
import pytest
from aiosmtplib.protocol import SMTPProtocol

from notqmail.delivery.connection import Client
from notqmail.delivery.protocol import ReplyProtocol
from notqmail.mail.address import Address
from notqmail.mail.envelope import Notify, Recipient
from tests.support.remote import Streamed, entry, remote
from tests.support.smtp_peer import PIPELINED, Raw, SmtpPeer

BOB, CAROL, DAVE = "bob@example.net", "carol@example.net", "dave@example.net"


def said(outcomes: Any) -> list[str]:
    return [f"{o.action} {o.reply.code} {o.reply.enhanced}".rstrip() for o in outcomes]


@pytest.mark.parametrize(
    "local",
    [
        "a,b",
        "a;b",
        "a:b",
        "a(b)",
        "mailto:a",
        "<a>",
        "a b",
        'a"b',
        "a\\b",
        "a@b",
        " ",
        ".a",
        "a..b",
    ],
)
async def test_gap_addresses_are_not_changed_by_parseaddr(local: str) -> None:
    address = Address(local, "example.net")
    async with SmtpPeer() as peer, remote(peer) as transport:
        await transport.deliver(entry(Recipient(address)))

    assert peer.messages[0].recipients == [str(address)]
    assert Address.parse(peer.messages[0].recipients[0]) == address


async def test_gap_replies_to_pipelined_commands_are_kept() -> None:
    """The base protocol drops every reply that comes while no command waits."""
    replies = {f"RCPT {CAROL}": "550 5.1.1 no", f"RCPT {DAVE}": "451 4.3.0 later"}
    async with SmtpPeer(replies=replies) as peer, remote(peer) as transport:
        outcomes = await transport.deliver(entry(BOB, CAROL, DAVE))

    assert said(outcomes) == ["relayed 250 2.0.0", "failed 550 5.1.1", "delayed 451 4.3.0"]


async def test_gap_answers_to_recipients_survive_a_refused_message() -> None:
    """`sendmail` raises only SMTPDataError then."""
    replies = {
        f"RCPT {CAROL}": "550 5.1.1 no",
        f"RCPT {DAVE}": "452 4.2.2 full",
        ".": "451 4.3.0 later",
    }
    async with SmtpPeer(replies=replies) as peer, remote(peer) as transport:
        outcomes = await transport.deliver(entry(BOB, CAROL, DAVE))

    assert said(outcomes) == ["delayed 451 4.3.0", "failed 550 5.1.1", "delayed 452 4.2.2"]


async def test_gap_each_recipient_has_its_own_parameters() -> None:
    to = [
        Recipient(Address.parse(BOB), Notify.NEVER),
        Recipient(Address.parse(CAROL), Notify.SUCCESS, "rfc822;c@x.example"),
    ]
    async with SmtpPeer() as peer, remote(peer) as transport:
        await transport.deliver(entry(*to))

    assert peer.sessions[0].commands[2:4] == [
        f"RCPT TO:<{BOB}> NOTIFY=NEVER",
        f"RCPT TO:<{CAROL}> NOTIFY=SUCCESS ORCPT=rfc822;c@x.example",
    ]


async def test_gap_message_is_never_rewritten() -> None:
    """`execute_data_command` makes CRLF of every bare CR or LF; ours refuses to send them (test_remote)."""
    content = b"Subject: x\r\n\r\n\xff\x00 \t\r\n.\r\n..\r\n\r\n\r\n"
    async with SmtpPeer() as peer, remote(peer) as transport:
        await transport.deliver(entry(BOB, content=content))

    assert peer.messages[0].content == content


async def test_gap_last_line_without_its_end_is_completed_and_nothing_else() -> None:
    async with SmtpPeer() as peer, remote(peer) as transport:
        await transport.deliver(entry(BOB, content=b"Subject: x\r\n\r\nend"))

    assert peer.messages[0].content == b"Subject: x\r\n\r\nend\r\n"


async def test_gap_event_loop_is_not_held_up_by_a_large_message() -> None:
    """`data()` of 20 MB is two passes of a regular expression and one write: seconds. Ours goes in pieces."""
    content = Streamed([b"Subject: x\r\n\r\n", *[(b".y" * 35 + b"\r\n") * 900] * 300])
    turns = 0

    async def watch() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with SmtpPeer(lines=()) as peer, remote(peer) as transport:
        watcher = asyncio.create_task(watch())
        outcomes = await transport.deliver(entry(BOB, content=content))
        watcher.cancel()

    assert said(outcomes) == ["relayed 250 2.0.0"]
    assert turns > 100  # others had their turn that often


async def test_gap_multiline_reply_with_two_codes_is_not_taken_for_its_last_line() -> None:
    replies = {".": Raw(b"550-no\r\n250 yes\r\n")}
    async with SmtpPeer(replies=replies) as peer, remote(peer) as transport:
        assert said(await transport.deliver(entry(BOB))) == ["delayed 451 4.5.0"]


async def test_gap_enhanced_codes_are_read() -> None:
    async with SmtpPeer(replies={"RCPT": "550 5.7.26 nope"}) as peer, remote(peer) as transport:
        (outcome,) = await transport.deliver(entry(BOB))

    assert outcome.reply.enhanced == "5.7.26"


async def test_gap_old_style_extension_line_does_not_confuse() -> None:
    async with (
        SmtpPeer(lines=(*PIPELINED, "AUTH=LOGIN", "X-", "")) as peer,
        remote(peer) as transport,
    ):
        assert said(await transport.deliver(entry(BOB))) == ["relayed 250 2.0.0"]


# Opportunistic TLS that verifies certificates, and SSLError that is no SMTPException: see test_tls.
# Time to write counted as time to reply, and no flow control: see test_protocol.


def test_overridden_private_names_are_there() -> None:
    """A release that renames them must fail here, not in production."""
    assert inspect.iscoroutinefunction(aiosmtplib.SMTP._create_connection)
    assert callable(aiosmtplib.SMTP._on_connection_lost)
    for name in ("read_response", "execute_command", "start_tls", "data_received", "eof_received",
                 "connection_lost", "resume_writing", "write"):  # fmt: skip
        assert hasattr(SMTPProtocol, name), name
    assert Client._create_connection is not aiosmtplib.SMTP._create_connection


async def test_protocol_of_the_session_is_ours() -> None:
    async with SmtpPeer() as peer, remote(peer) as transport:
        await transport.deliver(entry(BOB))
        (connection,) = transport._setup.sessions.pool._idle

        assert type(connection._client.protocol) is ReplyProtocol
