"""TLS to other servers: as good as can be had, never less than is demanded or was shown before."""

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme

from notqmail.config import Outbound, Seconds, To
from notqmail.delivery.tls_memory import TlsMemory
from notqmail.mail.entry import Entry
from notqmail.mail.outcome import Outcome
from tests.support.certificates import Authority, serving, untrusted
from tests.support.clock import FakeClock
from tests.support.remote import entry, remote
from tests.support.smtp_peer import CLOSE, PIPELINED, Raw, SmtpPeer

BOB = "bob@example.net"
MX = "mx1.example.net"
OFFERED = (*PIPELINED, "STARTTLS")
STRIPPED = PIPELINED


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def certificate() -> ssl.SSLContext:
    """A server's certificate that nobody trusts, for another name."""
    return untrusted("somebody.else.example")


@pytest.fixture(scope="module")
def valid(authority: Authority) -> ssl.SSLContext:
    return authority.context(MX)


async def outcome(peer: SmtpPeer, **keys: Any) -> str:
    made = await deliver(peer, **keys)
    return f"{made.action} {made.reply}"


async def deliver(peer: SmtpPeer, mail: Entry | None = None, **keys: Any) -> Outcome:
    async with remote(peer, **{"tls": "opportunistic", **keys}) as transport:
        (made,) = await transport.deliver(mail or entry(BOB))
    return made


# -- opportunistic ----------------------------------------------------------------------------------------------


async def test_certificate_that_is_not_valid_will_do_over_a_second_connection(
    certificate: ssl.SSLContext,
) -> None:
    async with SmtpPeer(lines=OFFERED, tls=certificate) as peer:
        made = await deliver(peer)

    assert str(made.reply) == "250 2.0.0 taken"
    assert str(made.tls).endswith(" not verified: unable to get local issuer certificate")
    assert peer.sessions[0].verbs == ["EHLO", "STARTTLS"]
    assert peer.sessions[1].verbs == ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


async def test_valid_certificate_is_told(authority: Authority, valid: ssl.SSLContext) -> None:
    async with SmtpPeer(lines=OFFERED, tls=valid) as peer:
        made = await deliver(peer, ca_file=authority.file)

    assert str(made.tls) == f"TLSv1.3 TLS_AES_256_GCM_SHA384 verified: as {MX}"
    assert len(peer.sessions) == 1


async def test_valid_certificate_for_another_name_is_not_verified(authority: Authority) -> None:
    async with SmtpPeer(lines=OFFERED, tls=authority.context("x.example")) as peer:
        made = await deliver(peer, ca_file=authority.file)

    assert str(made.tls).endswith("not verified: its certificate is for x.example")
    assert len(peer.sessions) == 1


async def test_host_whose_certificate_was_not_valid_is_asked_again_after_a_while(
    certificate: ssl.SSLContext,
) -> None:
    clock = FakeClock()
    async with (
        SmtpPeer(lines=OFFERED, tls=certificate) as peer,
        remote(
            peer, tls="opportunistic", tls_retry=Seconds(60), idle_connections=0, clock=clock
        ) as transport,
    ):
        await transport.deliver(entry(BOB))
        await transport.deliver(entry(BOB))
        assert len(peer.sessions) == 3

        clock.advance(61)
        await transport.deliver(entry(BOB))
        assert len(peer.sessions) == 5


async def test_only_so_many_hosts_without_a_valid_certificate_are_remembered(
    certificate: ssl.SSLContext,
) -> None:
    zones: Any = {
        "other.example": {"MX": "10 mx.other.example"},
        "mx.other.example": {"A": "127.0.0.1"},
    }
    async with (
        SmtpPeer(lines=OFFERED, tls=certificate) as peer,
        remote(peer, zones=zones, tls="opportunistic", routes=1, idle_connections=0) as transport,
    ):
        for name in ("example.net", "other.example", "example.net"):
            await transport.deliver(entry(f"x@{name}", nexthop=name))

    assert len(peer.sessions) == 6


async def test_large_message_goes_over_tls(certificate: ssl.SSLContext) -> None:
    content = b"Subject: x\r\n\r\n" + b"0123456789" * 7 + b"\r\n" + (b"y" * 70 + b"\r\n") * 20_000
    async with (
        SmtpPeer(lines=OFFERED, tls=certificate) as peer,
        remote(peer, tls="opportunistic") as transport,
    ):
        await transport.deliver(entry(BOB, content=content))

    assert peer.messages[0].content == content


async def test_tls_session_is_reused(authority: Authority, valid: ssl.SSLContext) -> None:
    async with (
        SmtpPeer(lines=OFFERED, tls=valid) as peer,
        remote(peer, tls="opportunistic", ca_file=authority.file) as transport,
    ):
        for _ in range(2):
            await transport.deliver(entry(BOB))

    assert len(peer.sessions) == 1


async def test_tls_can_be_switched_off(certificate: ssl.SSLContext) -> None:
    async with SmtpPeer(lines=OFFERED, tls=certificate) as peer:
        made = await deliver(peer, tls="never")

    assert not peer.sessions[0].tls
    assert str(made.tls) == "in clear: as configured"


async def test_server_without_tls_is_told() -> None:
    async with SmtpPeer(lines=STRIPPED) as peer:
        made = await deliver(peer)

    assert str(made.tls) == "in clear: STARTTLS is not offered"


@pytest.mark.parametrize("reply", ["454 4.7.0 not now", "501 5.5.4 no", "502 no"])
async def test_refused_starttls_goes_on_in_clear_over_the_same_connection(reply: str) -> None:
    async with SmtpPeer(lines=OFFERED, replies={"STARTTLS": reply}) as peer:
        made = await deliver(peer)

    assert str(made.reply) == "250 2.0.0 taken"
    assert str(made.tls) == f"in clear: STARTTLS was refused: {reply}"
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
        made = await deliver(peer)

    assert str(made.reply) == "250 2.0.0 taken"
    assert str(made.tls).startswith("in clear: TLS failed: ")
    assert len(peer.sessions) == 2
    assert "STARTTLS" not in peer.sessions[1].commands


async def test_tls_too_old_goes_on_in_clear() -> None:
    context = serving(trustme.CA().issue_cert("x.example"))
    context.set_ciphers("AES128-SHA")  # nothing that TLS 1.3 has, nothing that we offer for 1.2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with SmtpPeer(lines=OFFERED, tls=context) as peer:
        assert (await outcome(peer)).startswith("relayed")


async def test_tls_session_that_is_refused_is_a_refusal(
    authority: Authority, valid: ssl.SSLContext
) -> None:
    replies: Any = {"EHLO": ["250 peer\nSTARTTLS", "554 5.7.1 no"], "HELO": "554 5.7.1 no"}
    async with SmtpPeer(replies=replies, tls=valid) as peer:
        assert await outcome(peer, ca_file=authority.file) == "failed 554 5.7.1 no"


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


# -- a floor ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor", ["encrypt", "verify"])
@pytest.mark.parametrize(
    ("lines", "replies", "code", "fault"),
    [
        (STRIPPED, {}, "4.7.4", "STARTTLS is not offered"),
        (OFFERED, {"STARTTLS": "454 4.7.0 no"}, "4.7.4", "STARTTLS was refused: 454 4.7.0 no"),
        (OFFERED, {"STARTTLS": CLOSE}, "4.7.5", "lost the connection"),
        (OFFERED, {"STARTTLS": "220 ready"}, "4.7.5", "WRONG_VERSION_NUMBER"),
    ],
    ids=["stripped", "refused", "closed", "broken"],
)
async def test_nothing_goes_in_clear_below_a_floor(
    floor: str, lines: Sequence[str], replies: Any, code: str, fault: str
) -> None:
    async with SmtpPeer(lines=lines, replies=replies) as peer:
        made = await deliver(peer, tls=floor)

    assert (made.action, made.reply.code, made.reply.enhanced) == ("delayed", 451, code)
    assert fault in made.reply.text
    assert MX in made.reply.text
    assert made.remote_mta == ""
    assert str(made.tls).startswith(f'not protected enough: [outbound] has tls = "{floor}"; ')
    assert "MAIL" not in [verb for session in peer.sessions for verb in session.verbs]
    assert len(peer.sessions) == 1


async def test_any_certificate_is_enough_to_encrypt(certificate: ssl.SSLContext) -> None:
    async with SmtpPeer(lines=OFFERED, tls=certificate) as peer:
        assert await outcome(peer, tls="encrypt") == "relayed 250 2.0.0 taken"


async def test_valid_certificate_is_enough_for_everything(
    authority: Authority, valid: ssl.SSLContext
) -> None:
    async with SmtpPeer(lines=OFFERED, tls=valid) as peer:
        for floor in ("opportunistic", "encrypt", "verify"):
            told = await outcome(peer, tls=floor, ca_file=authority.file)
            assert told == "relayed 250 2.0.0 taken"


async def test_certificate_must_be_valid_to_verify(authority: Authority) -> None:
    faults = {
        "self-signed or unknown": (untrusted(MX), "unable to get local issuer certificate"),
        "expired": (authority.expired(MX), "certificate has expired"),
        "for another name": (authority.context("x.example"), "its certificate is for x.example"),
    }
    for context, fault in faults.values():
        async with SmtpPeer(lines=OFFERED, tls=context) as peer:
            made = await deliver(peer, tls="verify", ca_file=authority.file)

        assert (made.action, made.reply.enhanced) == ("delayed", "4.7.5")
        assert made.reply.text.endswith(fault)
        assert len(peer.sessions) == 1


@pytest.mark.parametrize(
    ("names", "certified", "fine"),
    [
        (("domain",), "example.net", True),
        (("domain",), MX, False),
        (("host", "domain"), "example.net", True),
        (("mx.provider.example",), "mx.provider.example", True),
        ((".provider.example",), "mx7.provider.example", True),
        ((".provider.example",), "provider.example", False),
        ((".example.net",), MX, True),
    ],
)
async def test_names_that_count_are_configured(
    authority: Authority, names: tuple[str, ...], certified: str, fine: bool
) -> None:
    async with SmtpPeer(lines=OFFERED, tls=authority.context(certified)) as peer:
        made = await deliver(peer, tls="verify", tls_names=names, ca_file=authority.file)

    assert (made.action == "relayed") is fine


async def test_next_host_is_asked_when_the_first_is_not_protected_enough(
    authority: Authority,
) -> None:
    async with (
        SmtpPeer(lines=STRIPPED) as first,
        SmtpPeer(
            lines=OFFERED,
            tls=authority.context("mx2.example.net"),
            host="127.0.0.2",
            port=first.port,
        ) as second,
        remote(first, second, tls="verify", ca_file=authority.file) as transport,
    ):
        (made,) = await transport.deliver(entry(BOB))

    assert (made.action, made.remote_mta) == ("relayed", "mx2.example.net")


async def test_floor_of_a_table_is_for_what_goes_by_it(certificate: ssl.SSLContext) -> None:
    strict = To(name="strict", domains=("example.net",), tls="verify")
    async with (
        SmtpPeer(lines=OFFERED, tls=certificate) as peer,
        remote(peer, tls="opportunistic", to=(strict,)) as transport,
    ):
        (free,) = await transport.deliver(entry(BOB))
        (bound,) = await transport.deliver(entry(BOB, nexthop="example.net;strict"))

    assert (free.action, bound.action) == ("relayed", "delayed")
    assert str(bound.tls).startswith('not protected enough: [[outbound.to]] strict has tls = "ver')


async def test_session_with_less_is_not_used_for_more(authority: Authority) -> None:
    """Two domains with one exchanger share its sessions: in clear for the one, never for the other."""
    zones: Any = {"strict.example": {"MX": f"10 {MX}"}}
    clock = FakeClock()
    memory = TlsMemory(clock, lifetime=1000, domains=10)
    async with (
        SmtpPeer(lines=STRIPPED) as peer,
        remote(peer, zones=zones, tls="opportunistic", clock=clock, memory=memory) as transport,
    ):
        memory.remember("strict.example", MX)
        (free,) = await transport.deliver(entry(BOB))
        (bound,) = await transport.deliver(entry("x@strict.example", nexthop="strict.example"))
        (again,) = await transport.deliver(entry(BOB))

    assert [free.action, bound.action, again.action] == ["relayed", "delayed", "relayed"]
    assert [len(peer.messages), len(peer.sessions)] == [2, 2]  # the first one was kept


# -- implicit TLS -----------------------------------------------------------------------------------------------


async def test_smarthost_may_speak_tls_from_the_first_octet(authority: Authority) -> None:
    async with SmtpPeer(tls=authority.context("127.0.0.1"), implicit=True) as peer:
        made = await deliver(
            peer,
            smarthost=f"127.0.0.1:{peer.port}",
            implicit_tls=True,
            tls="verify",
            ca_file=authority.file,
        )

    assert (made.action, str(made.tls)) == (
        "relayed",
        "TLSv1.3 TLS_AES_256_GCM_SHA384 verified: as 127.0.0.1",
    )
    assert peer.sessions[0].verbs[:2] == ["EHLO", "MAIL"]


async def test_implicit_tls_never_goes_on_in_clear(certificate: ssl.SSLContext) -> None:
    async with SmtpPeer() as peer:
        made = await deliver(peer, smarthost=f"127.0.0.1:{peer.port}", implicit_tls=True)

    assert (made.action, made.reply.enhanced) == ("delayed", "4.7.5")
    assert not any(line.startswith(("EHLO", "MAIL")) for line in peer.commands)


async def test_implicit_tls_takes_any_certificate_where_that_is_allowed(
    certificate: ssl.SSLContext,
) -> None:
    async with SmtpPeer(tls=certificate, implicit=True) as peer:
        made = await deliver(peer, smarthost=f"127.0.0.1:{peer.port}", implicit_tls=True)

    assert made.action == "relayed"


async def test_connection_that_ends_in_the_handshake_is_a_delay() -> None:
    async with SmtpPeer(replies={"BANNER": CLOSE}) as peer:
        made = await deliver(peer, smarthost=f"127.0.0.1:{peer.port}", implicit_tls=True)

    assert (made.action, made.reply.enhanced) == ("delayed", "4.7.5")


# -- what was shown before --------------------------------------------------------------------------------------


class Remembering:
    """A transport that remembers, and servers that come and go in one place."""

    def __init__(self, authority: Authority, **keys: Any) -> None:
        self.clock = FakeClock()
        self.memory = TlsMemory(self.clock)
        self._keys = {
            "tls": "opportunistic",
            "ca_file": authority.file,
            "tls_memory": Seconds(3000),
            **keys,
        }

    async def deliver(self, peer: SmtpPeer, mail: Entry | None = None, **keys: Any) -> Outcome:
        async with peer, remote(
            peer, clock=self.clock, memory=self.memory, **{**self._keys, **keys}
        ) as transport:  # fmt: skip
            (made,) = await transport.deliver(mail or entry(BOB))
        return made


@pytest.fixture
def world(authority: Authority) -> Remembering:
    return Remembering(authority)


async def shown(world: Remembering, valid: ssl.SSLContext) -> None:
    """Let example.net show a valid certificate."""
    made = await world.deliver(SmtpPeer(lines=OFFERED, tls=valid))
    assert made.action == "relayed"


@pytest.mark.parametrize(
    ("lines", "replies", "context", "code"),
    [
        (STRIPPED, {}, None, "4.7.4"),
        (OFFERED, {"STARTTLS": "454 4.7.0 no"}, None, "4.7.4"),
        (OFFERED, {"STARTTLS": CLOSE}, None, "4.7.5"),
        (OFFERED, {}, "untrusted", "4.7.5"),
        (OFFERED, {}, "for another name", "4.7.5"),
    ],
    ids=["stripped", "refused", "closed", "untrusted", "another name"],
)
async def test_domain_that_has_shown_a_valid_certificate_is_held_to_it(
    world: Remembering,
    authority: Authority,
    valid: ssl.SSLContext,
    lines: Sequence[str],
    replies: Any,
    context: str | None,
    code: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    contexts = {
        None: None,
        "untrusted": untrusted(MX),
        "for another name": authority.context("x.example"),
    }
    await shown(world, valid)
    peer = SmtpPeer(lines=lines, replies=replies, tls=contexts[context])

    with caplog.at_level(logging.WARNING):
        made = await world.deliver(peer)

    assert (made.action, made.reply.code, made.reply.enhanced) == ("delayed", 451, code)
    assert made.reply.text.startswith("example.net has shown a valid certificate before, and ")
    assert "notqmail tls forget" not in made.reply.text  # mail tells nobody how to override
    assert "notqmail tls forget example.net" in str(made.tls)
    assert f"as {MX} has shown one" in str(made.tls)
    assert "tls-refused" in caplog.messages
    assert "MAIL" not in [verb for session in peer.sessions for verb in session.verbs]


async def test_valid_certificate_goes_on_being_good(
    world: Remembering, valid: ssl.SSLContext
) -> None:
    await shown(world, valid)
    world.clock.advance(2900)
    await shown(world, valid)
    world.clock.advance(2900)

    assert world.memory.seen("example.net") is not None


async def test_domain_is_free_when_its_time_is_over(
    world: Remembering, valid: ssl.SSLContext
) -> None:
    await shown(world, valid)

    world.clock.advance(3001)

    assert (await world.deliver(SmtpPeer(lines=STRIPPED))).action == "relayed"


async def test_domain_is_free_when_it_is_forgotten(
    world: Remembering, valid: ssl.SSLContext
) -> None:
    await shown(world, valid)

    world.memory.forget("example.net")

    assert (await world.deliver(SmtpPeer(lines=STRIPPED))).action == "relayed"


@pytest.mark.parametrize(
    ("tls", "action"), [("opportunistic", "relayed"), ("never", "relayed"), ("", "delayed")]
)
async def test_table_that_speaks_of_tls_overrides_what_is_remembered(
    world: Remembering, valid: ssl.SSLContext, tls: Any, action: str
) -> None:
    await shown(world, valid)
    table = To(name="old", domains=("example.net",), tls=tls)

    made = await world.deliver(
        SmtpPeer(lines=STRIPPED), entry(BOB, nexthop="example.net;old"), to=(table,)
    )

    assert made.action == action


async def test_tls_switched_off_for_all_is_off(world: Remembering, valid: ssl.SSLContext) -> None:
    await shown(world, valid)

    assert (await world.deliver(SmtpPeer(lines=OFFERED), tls="never")).action == "relayed"


async def test_memory_can_be_switched_off(authority: Authority, valid: ssl.SSLContext) -> None:
    world = Remembering(authority, tls_memory=Seconds(0))
    await shown(world, valid)

    assert (await world.deliver(SmtpPeer(lines=STRIPPED))).action == "relayed"


async def test_idle_session_of_another_domain_shows_its_certificate_too(
    authority: Authority, valid: ssl.SSLContext
) -> None:
    zones: Any = {"other.example": {"MX": f"10 {MX}"}}
    memory = TlsMemory(FakeClock())
    async with (
        SmtpPeer(lines=OFFERED, tls=valid) as peer,
        remote(
            peer, zones=zones, memory=memory, tls="opportunistic", ca_file=authority.file
        ) as transport,
    ):
        await transport.deliver(entry(BOB))
        await transport.deliver(entry("x@other.example", nexthop="other.example"))

    assert len(peer.sessions) == 1
    assert [domain for domain, _ in memory.list()] == ["example.net", "other.example"]


async def test_what_a_domain_has_not_shown_it_is_not_held_to(world: Remembering) -> None:
    for context in (untrusted(MX), None):
        lines = OFFERED if context else STRIPPED
        assert (await world.deliver(SmtpPeer(lines=lines, tls=context))).action == "relayed"

    assert not world.memory.list()


# -- reload -----------------------------------------------------------------------------------------------------


async def test_sessions_of_the_old_configuration_are_not_used_again(tmp_path: Path) -> None:
    async with SmtpPeer() as peer, remote(peer) as transport:
        await transport.deliver(entry(BOB))

        await transport.reload(Outbound(port=peer.port, tls="never"))
        await transport.deliver(entry(BOB))

    assert [session.verbs[-1] for session in peer.sessions] == ["QUIT", "QUIT"]
