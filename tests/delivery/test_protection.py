"""Opportunistic TLS: used where it can be had, never a reason to keep mail back."""

import ssl
from typing import Any

import pytest
import trustme

from notqmail.delivery.remote import opportunistic
from tests.support.remote import entry, remote
from tests.support.smtp_peer import CLOSE, PIPELINED, Raw, SmtpPeer

BOB = "bob@example.net"
OFFERED = (*PIPELINED, "STARTTLS")


@pytest.fixture(scope="module")
def certificate() -> ssl.SSLContext:
    """A server's certificate that nobody trusts, for another name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("somebody.else.example").configure_cert(context)
    return context


async def outcome(peer: SmtpPeer, **keys: Any) -> str:
    async with remote(peer, **{"tls": "opportunistic", **keys}) as transport:
        (made,) = await transport.deliver(entry(BOB))
    return f"{made.action} {made.reply}"


def test_context_verifies_nothing_and_refuses_old_versions() -> None:
    context = opportunistic()

    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


async def test_tls_is_used_when_offered_and_any_certificate_will_do(
    certificate: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    async with SmtpPeer(lines=OFFERED, tls=certificate) as peer:
        assert await outcome(peer) == "relayed 250 2.0.0 taken"

    assert peer.sessions[0].tls
    assert peer.sessions[0].verbs == ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


async def test_large_message_goes_over_tls(certificate: ssl.SSLContext) -> None:
    content = b"Subject: x\r\n\r\n" + b"0123456789" * 7 + b"\r\n" + (b"y" * 70 + b"\r\n") * 20_000
    async with (
        SmtpPeer(lines=OFFERED, tls=certificate) as peer,
        remote(peer, tls="opportunistic") as transport,
    ):
        await transport.deliver(entry(BOB, content=content))

    assert peer.messages[0].content == content


async def test_tls_session_is_reused(certificate: ssl.SSLContext) -> None:
    async with (
        SmtpPeer(lines=OFFERED, tls=certificate) as peer,
        remote(peer, tls="opportunistic") as transport,
    ):
        for _ in range(2):
            await transport.deliver(entry(BOB))

    assert len(peer.sessions) == 1


async def test_tls_can_be_switched_off(certificate: ssl.SSLContext) -> None:
    async with SmtpPeer(lines=OFFERED, tls=certificate) as peer:
        assert await outcome(peer, tls="never") == "relayed 250 2.0.0 taken"

    assert not peer.sessions[0].tls


@pytest.mark.parametrize("reply", ["454 4.7.0 not now", "501 5.5.4 no", "502 no"])
async def test_refused_starttls_goes_on_in_clear_over_the_same_connection(reply: str) -> None:
    async with SmtpPeer(lines=OFFERED, replies={"STARTTLS": reply}) as peer:
        assert await outcome(peer) == "relayed 250 2.0.0 taken"

    assert len(peer.sessions) == 1


@pytest.mark.parametrize(
    "answer",
    [
        CLOSE,
        Raw(b"220 ready\r\n", then=CLOSE),
        "220 ready",  # and then SMTP in clear instead of a handshake
    ],
    ids=str,
)
async def test_failed_handshake_goes_on_in_clear_over_a_new_connection(answer: Any) -> None:
    async with SmtpPeer(lines=OFFERED, replies={"STARTTLS": answer}) as peer:
        assert await outcome(peer) == "relayed 250 2.0.0 taken"

    assert len(peer.sessions) == 2
    assert "STARTTLS" not in peer.sessions[1].commands


async def test_tls_too_old_goes_on_in_clear(certificate: ssl.SSLContext) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("x.example").configure_cert(context)
    context.set_ciphers("AES128-SHA")  # nothing that TLS 1.3 has, nothing that we offer for 1.2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with SmtpPeer(lines=OFFERED, tls=context) as peer:
        assert (await outcome(peer)).startswith("relayed")


async def test_tls_session_that_is_refused_is_a_refusal(certificate: ssl.SSLContext) -> None:
    replies: Any = {"EHLO": ["250 peer\nSTARTTLS", "554 5.7.1 no"], "HELO": "554 5.7.1 no"}
    async with SmtpPeer(replies=replies, tls=certificate) as peer:
        assert await outcome(peer) == "failed 554 5.7.1 no"


@pytest.mark.parametrize(
    "octets", [b"250 injected\r\n", b"2", b"421 4.3.2 injected\r\n", b"EHLO x\r\n"]
)
async def test_octets_in_clear_behind_the_reply_to_starttls_end_the_session(
    octets: bytes, certificate: ssl.SSLContext
) -> None:
    """GHSA-vxj7-4xrp-5vr4: what was injected before TLS must not be read as part of it."""
    answer: Any = [Raw(b"220 ready\r\n" + octets), "220 ready"]
    async with SmtpPeer(lines=OFFERED, replies={"STARTTLS": answer}, tls=certificate) as peer:
        assert "injected" not in await outcome(peer)

    assert peer.sessions[0].verbs == ["EHLO", "STARTTLS"]
