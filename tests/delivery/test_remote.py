"""Delivery to other servers: what each answer of a peer means for each recipient."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from notqmail.config import Seconds
from notqmail.mail.address import Address
from notqmail.mail.envelope import Body, Notify, Recipient
from notqmail.mail.errors import SpoolError
from notqmail.mail.hop import Hop
from notqmail.mail.outcome import Action, Outcome
from tests.support.clock import EPOCH, virtual_time
from tests.support.dns import Fault
from tests.support.remote import LETTER, Streamed, entry, remote
from tests.support.smtp_peer import CLOSE, PIPELINED, STALL, Raw, SmtpPeer

BOB, CAROL, DAVE = "bob@example.net", "carol@example.net", "dave@example.net"
PLAIN = ("SIZE 10000000", "8BITMIME")


def said(outcomes: Any) -> list[str]:
    return [f"{o.action} {o.reply.code} {o.reply.enhanced}".rstrip() for o in outcomes]


async def deliver(peer: SmtpPeer, *recipients: str, **fields: Any) -> list[Outcome]:
    async with remote(peer) as transport:
        return list(await transport.deliver(entry(*recipients, **fields)))


async def test_message_arrives_as_it_is() -> None:
    async with SmtpPeer() as peer:
        (outcome,) = await deliver(peer, BOB)

    assert outcome.action is Action.RELAYED
    assert str(outcome.reply) == "250 2.0.0 taken"
    assert (outcome.remote_mta, outcome.at) == ("mx1.example.net", EPOCH)
    assert [(m.sender, m.recipients, m.content) for m in peer.messages] == [
        ("alice@example.org", [BOB], LETTER)
    ]


@pytest.mark.parametrize("lines", [PIPELINED, PLAIN, None], ids=["pipelining", "plain", "helo"])
async def test_each_recipient_has_its_own_outcome_in_order(lines: tuple[str, ...] | None) -> None:
    replies = {f"RCPT {CAROL}": "550 5.1.1 no such user", f"RCPT {DAVE}": "450 4.2.1 later"}
    async with SmtpPeer(lines=lines, replies=replies) as peer:
        outcomes = await deliver(peer, CAROL, BOB, DAVE)

    assert said(outcomes) == ["failed 550 5.1.1", "relayed 250 2.0.0", "delayed 450 4.2.1"]
    assert [m.recipients for m in peer.messages] == [[BOB]]


@pytest.mark.parametrize("lines", [PIPELINED, PLAIN], ids=["pipelining", "plain"])
@pytest.mark.parametrize("reply", ["550 5.7.1 not you", "451 4.3.0 not now"])
async def test_refused_sender_is_the_word_on_every_recipient(
    lines: tuple[str, ...], reply: str
) -> None:
    replies = {"MAIL": reply, "RCPT": "503 5.5.1 MAIL first", "DATA": "503 5.5.1 RCPT first"}
    async with SmtpPeer(lines=lines, replies=replies) as peer:
        outcomes = await deliver(peer, BOB, CAROL)

    assert [str(o.reply) for o in outcomes] == [reply] * 2


async def test_without_an_accepted_recipient_there_is_no_data_but_rset() -> None:
    async with SmtpPeer(lines=PLAIN, replies={"RCPT": "550 5.1.1 no"}) as peer:
        await deliver(peer, BOB, CAROL)

    assert peer.sessions[0].verbs == ["EHLO", "MAIL", "RCPT", "RCPT", "RSET", "QUIT"]


async def test_data_let_in_without_a_recipient_is_ended_empty() -> None:
    async with SmtpPeer(replies={"RCPT": "550 5.1.1 no", ".": "554 5.5.1 nobody"}) as peer:
        outcomes = await deliver(peer, BOB)

    assert said(outcomes) == ["failed 550 5.1.1"]
    assert peer.sessions[0].verbs[-2:] == ["DATA", "QUIT"]


@pytest.mark.parametrize("command", ["DATA", "."])
@pytest.mark.parametrize(
    ("reply", "action"), [("554 5.7.1 spam", "failed"), ("451 4.3.0 busy", "delayed")]
)
async def test_refused_message_is_the_word_on_accepted_recipients(
    command: str, reply: str, action: str
) -> None:
    async with SmtpPeer(replies={command: reply, f"RCPT {BOB}": "550 5.1.1 no"}) as peer:
        outcomes = await deliver(peer, BOB, CAROL)

    assert [o.action for o in outcomes] == ["failed", action]
    assert str(outcomes[1].reply) == reply


async def test_leading_dots_survive() -> None:
    content = b".\r\n..\r\n...x\r\n\r\n.\r\n"
    async with SmtpPeer() as peer:
        await deliver(peer, BOB, content=content)

    assert peer.messages[0].content == content


async def test_streamed_message_arrives_as_it_is() -> None:
    pieces = [b"Subject: x\r\n\r\n", *(b".%06d\r\n" % n for n in range(30_000))]
    content = Streamed([b"".join(pieces[n : n + 5000]) for n in range(0, len(pieces), 5000)])
    async with SmtpPeer() as peer:
        outcomes = await deliver(peer, BOB, content=content)

    assert said(outcomes) == ["relayed 250 2.0.0"]
    assert peer.messages[0].content == b"".join(pieces)
    assert content.opened == content.closed


async def test_utf8_and_u_labels_and_quoting_go_out_exactly() -> None:
    async with SmtpPeer() as peer:
        await deliver(peer, "jörg@bücher.example", '"a b"@example.net', sender='"x@y"@example.org')

    assert (
        peer.sessions[0].commands[1:4]
        == [
            f'MAIL FROM:<"x@y"@example.org> SIZE={len(LETTER)} SMTPUTF8',
            "RCPT TO:<jörg@xn--bcher-kva.example>",
            'RCPT TO:<"a b"@example.net>',
        ]
        or peer.commands[1:4]
    )


async def test_next_host_is_asked_when_the_first_is_not_there() -> None:
    async with SmtpPeer() as second, remote(second, zones=AHEAD) as transport:
        outcomes = await transport.deliver(entry(BOB))

    assert outcomes[0].remote_mta == "mx1.example.net"
    assert said(outcomes) == ["relayed 250 2.0.0"]


AHEAD: Any = {
    "example.net": {"MX": ["5 gone.example.net", "10 mx1.example.net"]},
    "gone.example.net": {"A": "127.0.0.9"},
}


@pytest.mark.parametrize(
    "replies",
    [
        {"BANNER": "421 4.3.2 closing"},
        {"BANNER": "451 4.3.2 busy"},
        {"BANNER": "554 5.7.1 go away"},
        {"BANNER": CLOSE},
        {"BANNER": Raw(b"SSH-2.0-OpenSSH\r\n")},
        {"BANNER": "250 what?"},
        {"EHLO": "421 4.3.2 closing"},
        {"EHLO": "450 4.3.2 busy"},
        {"EHLO": CLOSE},
        {"EHLO": "550 no", "HELO": "550 5.7.1 never"},
        {"MAIL": "421 4.3.2 closing"},
        {"MAIL": "451 4.3.2 busy"},
        {"MAIL": CLOSE},
        {"RCPT": "450 4.2.0 greylisted"},
        {"RCPT": "421 4.3.2 closing"},
        {"DATA": "421 4.3.2 closing"},
        {"DATA": "451 4.3.0 busy"},
        {"DATA": CLOSE},
        {".": "451 4.3.0 busy"},
        {".": "421 4.3.0 busy"},
        {"RCPT": Raw(b"999 what\r\n")},
        {"MAIL": "354 go ahead"},
        {"DATA": "250 ok"},
    ],
    ids=str,
)
@pytest.mark.parametrize("lines", [PIPELINED, PLAIN], ids=["pipelining", "plain"])
async def test_next_host_is_asked_when_the_first_cannot_now(
    replies: dict[str, Any], lines: tuple[str, ...]
) -> None:
    async with (
        SmtpPeer(replies=replies, lines=lines) as first,
        SmtpPeer(host="127.0.0.2", port=first.port) as second,
        remote(first, second) as transport,
    ):
        outcomes = await transport.deliver(entry(BOB, CAROL))

    assert said(outcomes) == ["relayed 250 2.0.0"] * 2
    assert {o.remote_mta for o in outcomes} == {"mx2.example.net"}
    assert len(first.sessions) == len(second.sessions) == 1


@pytest.mark.parametrize(
    ("replies", "outcome"),
    [
        ({"BANNER": "554 5.7.1 go away"}, "failed 554 5.7.1"),
        ({"BANNER": "421 4.3.2 closing"}, "delayed 421 4.3.2"),
        ({"BANNER": CLOSE}, "delayed 451 4.4.2"),
        ({"EHLO": "502 5.5.1 no", "HELO": "550 5.7.1 never"}, "failed 550 5.7.1"),
        ({"RCPT": "421 4.7.0 closing"}, "delayed 421 4.7.0"),
        ({".": CLOSE}, "delayed 451 4.4.2"),
        ({"MAIL": Raw(b"x" * 100_000)}, "delayed 451 4.5.0"),
    ],
    ids=str,
)
async def test_only_host_has_the_last_word(replies: dict[str, Any], outcome: str) -> None:
    async with SmtpPeer(replies=replies) as peer:
        assert said(await deliver(peer, BOB)) == [outcome]


async def test_host_that_could_not_be_asked_outweighs_a_refusal_at_the_door() -> None:
    async with (
        SmtpPeer(replies={"BANNER": "554 5.7.1 go away"}) as first,
        remote(first, zones={"mx0.example.net": {"A": "127.0.0.9"},
                             "example.net": {"MX": ["10 mx1.example.net", "20 mx0.example.net"]}}) as transport,
    ):  # fmt: skip
        assert said(await transport.deliver(entry(BOB))) == ["delayed 451 4.4.1"]


async def test_word_of_a_peer_outweighs_silence() -> None:
    async with (
        SmtpPeer(replies={"RCPT": "450 4.2.0 greylisted"}) as first,
        remote(first, zones={"mx0.example.net": {"A": "127.0.0.9"},
                             "example.net": {"MX": ["10 mx1.example.net", "20 mx0.example.net"]}}) as transport,
    ):  # fmt: skip
        (outcome,) = await transport.deliver(entry(BOB))

    assert said([outcome]) == ["delayed 450 4.2.0"]
    assert outcome.remote_mta == "mx1.example.net"


async def test_our_own_words_name_no_remote_mta() -> None:
    async with SmtpPeer(replies={"MAIL": CLOSE}) as peer:
        (outcome,) = await deliver(peer, BOB)

    assert outcome.remote_mta == ""
    assert "mx1.example.net[127.0.0.1]" in outcome.reply.text


async def test_only_so_many_hosts_may_say_not_now() -> None:
    later = {"RCPT": "450 4.2.0 greylisted"}
    async with (
        SmtpPeer(replies=later) as one,
        SmtpPeer(replies=later, host="127.0.0.2", port=one.port) as two,
        SmtpPeer(host="127.0.0.3", port=one.port) as three,
        remote(one, two, three, mx_sessions=2) as transport,
    ):
        assert said(await transport.deliver(entry(BOB))) == ["delayed 450 4.2.0"]
        assert not three.sessions


async def test_next_host_is_asked_only_for_recipients_without_a_final_word() -> None:
    first_says = {f"RCPT {BOB}": "550 5.1.1 no", f"RCPT {CAROL}": "450 4.2.1 later"}
    async with (
        SmtpPeer(replies=first_says) as first,
        SmtpPeer(host="127.0.0.2", port=first.port) as second,
        remote(first, second) as transport,
    ):
        outcomes = await transport.deliver(entry(BOB, CAROL, DAVE))

    assert said(outcomes) == ["failed 550 5.1.1", "relayed 250 2.0.0", "relayed 250 2.0.0"]
    assert [m.recipients for m in second.messages] == [[CAROL]]


async def test_lost_after_the_final_dot_waits_rather_than_asks_another_host() -> None:
    async with (
        SmtpPeer(replies={".": CLOSE}) as first,
        SmtpPeer(host="127.0.0.2", port=first.port) as second,
        remote(first, second) as transport,
    ):
        assert said(await transport.deliver(entry(BOB))) == ["delayed 451 4.4.2"]
        assert not second.sessions


async def test_answer_to_a_recipient_survives_the_loss_of_the_session() -> None:
    replies = {f"RCPT {BOB}": "550 5.1.1 no", f"RCPT {CAROL}": CLOSE}
    async with SmtpPeer(lines=PLAIN, replies=replies) as peer:
        assert said(await deliver(peer, BOB, CAROL)) == ["failed 550 5.1.1", "delayed 451 4.4.2"]


# Limits of a server


async def test_message_larger_than_the_server_takes_is_not_sent() -> None:
    async with SmtpPeer(lines=("SIZE 1000",)) as peer:
        outcomes = await deliver(peer, BOB, content=b"x" * 70 + b"\r\n" + b"y" * 2000)

    assert said(outcomes) == ["failed 552 5.3.4"]
    assert peer.sessions[0].verbs == ["EHLO", "QUIT"]


async def test_larger_transactions_are_split_as_the_server_says() -> None:
    async with SmtpPeer(lines=("PIPELINING", "LIMITS RCPTMAX=2")) as peer:
        outcomes = await deliver(peer, *(f"u{n}@example.net" for n in range(5)))

    assert said(outcomes) == ["relayed 250 2.0.0"] * 5
    assert [len(m.recipients) for m in peer.messages] == [2, 2, 1]
    assert len(peer.sessions) == 1


async def test_transactions_are_split_by_domain_where_the_server_says_so() -> None:
    async with SmtpPeer(lines=("PIPELINING", "LIMITS RCPTDOMAINMAX=1")) as peer:
        await deliver(peer, "a@one.example", "b@one.example", "c@two.example")

    assert [m.recipients for m in peer.messages] == [
        ["a@one.example", "b@one.example"],
        ["c@two.example"],
    ]


async def test_our_own_bound_of_recipients_holds_everywhere() -> None:
    async with SmtpPeer() as peer, remote(peer, recipients=2) as transport:
        await transport.deliver(entry(*(f"u{n}@example.net" for n in range(3))))

    assert [len(m.recipients) for m in peer.messages] == [2, 1]


@pytest.mark.parametrize("reply", ["452 4.5.3 too many", "452 too many", "552 too many"])
@pytest.mark.parametrize("lines", [PIPELINED, PLAIN], ids=["pipelining", "plain"])
async def test_too_many_recipients_follow_in_a_further_transaction(
    reply: str, lines: tuple[str, ...]
) -> None:
    async with SmtpPeer(lines=lines, replies={f"RCPT {CAROL}": [reply, "250 ok"]}) as peer:
        outcomes = await deliver(peer, BOB, CAROL)

    assert said(outcomes) == ["relayed 250 2.0.0"] * 2
    assert [m.recipients for m in peer.messages] == [[BOB], [CAROL]]
    assert len(peer.sessions) == 1


async def test_452_that_means_something_else_is_an_answer() -> None:
    async with SmtpPeer(replies={f"RCPT {CAROL}": "452 4.2.2 mailbox full"}) as peer:
        assert said(await deliver(peer, BOB, CAROL)) == ["relayed 250 2.0.0", "delayed 452 4.2.2"]


async def test_too_many_with_none_accepted_is_an_answer() -> None:
    async with SmtpPeer(replies={"RCPT": "452 4.5.3 too many"}) as peer:
        assert said(await deliver(peer, BOB, CAROL)) == ["delayed 452 4.5.3"] * 2
        assert peer.sessions[0].verbs.count("MAIL") == 1


async def test_server_that_takes_one_message_per_session_is_called_again() -> None:
    async with SmtpPeer(lines=("PIPELINING", "LIMITS RCPTMAX=1 MAILMAX=1")) as peer:
        outcomes = await deliver(peer, BOB, CAROL, DAVE)

    assert said(outcomes) == ["relayed 250 2.0.0"] * 3
    assert len(peer.sessions) == 3


async def test_server_that_hangs_up_after_each_message_is_called_again() -> None:
    replies: Any = {"MAIL": ["250 ok", CLOSE, "250 ok"]}
    async with SmtpPeer(lines=("PIPELINING", "LIMITS RCPTMAX=1"), replies=replies) as peer:
        outcomes = await deliver(peer, BOB, CAROL)

    assert said(outcomes) == ["relayed 250 2.0.0"] * 2
    assert len(peer.sessions) == 2


async def test_refused_recipients_in_every_batch_are_asked_once_each() -> None:
    lines = ("PIPELINING", "LIMITS RCPTMAX=1 MAILMAX=1")
    async with SmtpPeer(lines=lines, replies={"RCPT": "450 4.2.0 later"}) as peer:
        outcomes = await deliver(peer, BOB, CAROL)

    assert said(outcomes) == ["delayed 450 4.2.0"] * 2
    assert sum(line.startswith("RCPT") for line in peer.commands) == 2


# Extensions


ASCII_ONLY = ("PIPELINING", "8BITMIME")


async def test_smtputf8_is_not_asked_for_without_need() -> None:
    async with SmtpPeer() as peer:
        await deliver(peer, "bob@bücher.example", smtputf8=True)

    assert "SMTPUTF8" not in peer.commands[1]


@pytest.mark.parametrize(
    "fields",
    [
        {"sender": "jörg@example.org"},
        {"content": "Subject: Grüße\r\n\r\nx\r\n".encode(), "smtputf8": True},
    ],
)
async def test_server_without_smtputf8_is_passed_over_for_one_that_has_it(
    fields: dict[str, Any],
) -> None:
    async with (
        SmtpPeer(lines=ASCII_ONLY) as first,
        SmtpPeer(host="127.0.0.2", port=first.port) as second,
        remote(first, second) as transport,
    ):
        outcomes = await transport.deliver(entry(BOB, **fields))

    assert said(outcomes) == ["relayed 250 2.0.0"]
    assert "SMTPUTF8" in second.commands[1]
    assert first.sessions[0].verbs == ["EHLO", "QUIT"]


async def test_servers_without_smtputf8_do_not_use_up_the_hosts_that_may_say_not_now() -> None:
    async with (
        SmtpPeer(lines=ASCII_ONLY) as one,
        SmtpPeer(lines=ASCII_ONLY, host="127.0.0.2", port=one.port) as two,
        SmtpPeer(host="127.0.0.3", port=one.port) as three,
        remote(one, two, three, mx_sessions=1) as transport,
    ):
        assert said(await transport.deliver(entry("jörg@example.net"))) == ["relayed 250 2.0.0"]
        assert len(two.sessions) == len(three.sessions) == 1


async def test_message_that_needs_smtputf8_fails_where_nobody_has_it() -> None:
    async with SmtpPeer(lines=ASCII_ONLY) as peer:
        outcomes = await deliver(peer, "jörg@example.net", BOB)

    assert said(outcomes) == ["failed 553 5.6.7", "relayed 250 2.0.0"]
    assert [m.recipients for m in peer.messages] == [[BOB]]


async def test_8bit_header_that_nobody_declared_goes_out_as_it_came() -> None:
    content = "Subject: Grüße\r\n\r\nx\r\n".encode()
    async with SmtpPeer(lines=ASCII_ONLY) as peer:
        outcomes = await deliver(peer, BOB, content=content)

    assert said(outcomes) == ["relayed 250 2.0.0"]
    assert peer.messages[0].content == content


@pytest.mark.parametrize("streamed", [False, True])
async def test_8bit_body_is_converted_for_a_server_without_8bitmime(streamed: bool) -> None:
    content = "Subject: x\r\n\r\nGrüße und Küsse aus der Ferne\r\n".encode()
    async with SmtpPeer(lines=("PIPELINING",)) as peer:
        outcomes = await deliver(peer, BOB, content=Streamed([content]) if streamed else content)

    assert said(outcomes) == ["relayed 250 2.0.0"]
    assert b"Content-Transfer-Encoding: quoted-printable\r\n" in peer.messages[0].content
    assert b"Gr=C3=BC=C3=9Fe" in peer.messages[0].content
    assert "BODY" not in peer.commands[1]


async def test_signed_message_is_not_converted_but_fails() -> None:
    content = "DKIM-Signature: v=1\r\n\r\nGrüße\r\n".encode()
    async with SmtpPeer(lines=("PIPELINING",)) as peer:
        assert said(await deliver(peer, BOB, content=content)) == ["failed 554 5.6.3"]


async def test_message_too_large_to_convert_fails() -> None:
    async with SmtpPeer(lines=()) as peer, remote(peer, convert=1000) as transport:
        outcomes = await transport.deliver(entry(BOB, content=b"\r\n" + b"\xff" * 2000))

    assert said(outcomes) == ["failed 554 5.6.3"]


async def test_large_conversion_leaves_the_event_loop() -> None:
    content = b"\r\n" + b"Gr\xc3\xbc\xc3\x9fe an alle, die das lesen\r\n" * 5000
    async with SmtpPeer(lines=()) as peer:
        assert said(await deliver(peer, BOB, content=content)) == ["relayed 250 2.0.0"]

    assert peer.messages[0].content.isascii()


async def test_declared_8bit_message_is_looked_at_no_further_than_its_header() -> None:
    class Counted(Streamed):
        read = 0

        async def chunks(self) -> AsyncIterator[bytes]:
            async for piece in super().chunks():
                self.read += 1
                yield piece

    content = Counted([b"Subject: x\r\n\r\n", b"y\r\n", b"z\r\n"])
    async with SmtpPeer() as peer:
        await deliver(peer, BOB, content=content, body=Body.EIGHTBIT)

    assert content.read == 1 + 3


@pytest.mark.parametrize(("lines", "passed"), [(PIPELINED, True), (PLAIN, False)])
async def test_outcome_tells_whether_the_next_hop_reports_success(
    lines: tuple[str, ...], passed: bool
) -> None:
    recipient = Recipient(Address.parse(BOB), Notify.SUCCESS)
    async with SmtpPeer(lines=lines) as peer, remote(peer) as transport:
        (outcome,) = await transport.deliver(entry(recipient))

    assert outcome.action is Action.RELAYED
    assert outcome.dsn_passed is passed
    assert ("NOTIFY=SUCCESS" in peer.commands[2]) is passed


# Time


@pytest.mark.parametrize(
    ("step", "key"),
    [("BANNER", "banner_timeout"), ("EHLO", "command_timeout"), ("MAIL", "command_timeout"),
     ("RCPT", "command_timeout"), ("DATA", "data_timeout"), (".", "final_timeout")],
)  # fmt: skip
@pytest.mark.parametrize("lines", [PIPELINED, PLAIN], ids=["pipelining", "plain"])
def test_silence_is_given_up_after_the_time_of_its_phase(
    step: str, key: str, lines: tuple[str, ...]
) -> None:
    @virtual_time
    async def test() -> None:
        async with (
            SmtpPeer(replies={step: STALL}, lines=lines) as peer,
            remote(peer, **{key: Seconds(77)}) as transport,
        ):
            started = asyncio.get_running_loop().time()
            outcomes = await transport.deliver(entry(BOB))
            waited = asyncio.get_running_loop().time() - started

        assert said(outcomes) == ["delayed 451 4.4.2"]
        assert waited == pytest.approx(77, abs=1)

    test()


@virtual_time
async def test_peer_that_drips_a_reply_is_given_up_all_the_same() -> None:
    async with (
        SmtpPeer(replies={"MAIL": Raw(b"250-", then=STALL)}) as peer,
        remote(peer) as transport,
    ):
        assert said(await transport.deliver(entry(BOB))) == ["delayed 451 4.4.2"]
        assert asyncio.get_running_loop().time() < 301


@virtual_time
async def test_whole_attempt_has_a_bound() -> None:
    replies = {"MAIL": STALL}
    async with (
        SmtpPeer(replies=replies) as one,
        SmtpPeer(replies=replies, host="127.0.0.2", port=one.port) as two,
        remote(one, two, attempt_timeout=Seconds(400)) as transport,
    ):
        outcomes = await transport.deliver(entry(BOB, CAROL))
        assert asyncio.get_running_loop().time() == pytest.approx(400, abs=1)

    assert said(outcomes) == ["delayed 451 4.4.2"] * 2


async def test_cancelled_attempt_leaves_no_session_behind() -> None:
    async with SmtpPeer(replies={".": STALL}) as peer, remote(peer) as transport:
        attempt = asyncio.create_task(transport.deliver(entry(BOB)))
        while not (peer.sessions and "DATA" in peer.sessions[0].commands):
            await asyncio.sleep(0.001)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        assert peer.sessions[0].verbs[-1] == "DATA"


# DNS and next hops


@pytest.mark.parametrize(
    ("zone", "outcome"),
    [
        (Fault.SERVFAIL, "delayed 451 4.4.3"),
        (Fault.TIMEOUT, "delayed 451 4.4.3"),
        (Fault.NXDOMAIN, "failed 550 5.1.2"),
        ({"MX": "0 ."}, "failed 556 5.1.10"),
        ({"TXT": '"x"'}, "failed 550 5.4.4"),
    ],
)
async def test_trouble_with_the_domain_is_an_outcome(zone: Any, outcome: str) -> None:
    async with remote(zones={"example.net": zone}) as transport:
        (made,) = await transport.deliver(entry(BOB))

    assert said([made]) == [outcome]
    assert made.remote_mta == ""


async def test_best_exchanger_is_us_fails_as_a_loop() -> None:
    async with remote(
        zones={"example.net": {"MX": "10 us.example"}}, is_us="us.example".__eq__
    ) as t:
        assert said(await t.deliver(entry(BOB))) == ["failed 554 5.4.6"]


@pytest.mark.parametrize("form", ["[127.0.0.1]:{port}", "127.0.0.1:{port}", "smart.example:{port}"])
async def test_mail_goes_to_a_literal_and_to_the_smarthost(form: str) -> None:
    zones: Any = {"smart.example": {"A": "127.0.0.1"}}
    async with SmtpPeer() as peer, remote(zones=zones, port=1) as transport:
        outcomes = await transport.deliver(entry(BOB, nexthop=form.format(port=peer.port)))

    assert said(outcomes) == ["relayed 250 2.0.0"]


async def test_domains_with_the_same_exchangers_share_a_lane() -> None:
    zones: Any = {"other.example": {"MX": "10 mx1.example.net"}}
    async with SmtpPeer() as peer, remote(peer, zones=zones) as transport:
        lanes = {await transport.lane(Hop("smtp", d)) for d in ("example.net", "other.example")}

    assert len(lanes) == 1


# Trouble of our own


class Unreadable(Streamed):
    """Content whose file is gone."""

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"Subject: x\r\n\r\n"
        raise SpoolError("gone")


@pytest.mark.parametrize("body", [None, Body.EIGHTBIT])
async def test_message_that_cannot_be_read_waits_and_is_never_sent_in_part(
    body: Body | None,
) -> None:
    async with SmtpPeer() as peer:
        outcomes = await deliver(peer, BOB, content=Unreadable([]), body=body)

    assert said(outcomes) == ["delayed 451 4.3.0"]
    assert not peer.messages


@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\rb\r\n", b"a\r"])
async def test_bare_cr_or_lf_is_never_sent(content: bytes) -> None:
    async with SmtpPeer() as peer:
        outcomes = await deliver(peer, BOB, content=b"Subject: x\r\n\r\n" + content)

    assert said(outcomes) == ["failed 554 5.6.0"]
    assert not peer.messages


async def test_bug_is_a_delay_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Streamed):
        async def chunks(self) -> AsyncIterator[bytes]:
            raise ZeroDivisionError
            yield b""

    async with SmtpPeer() as peer:
        outcomes = await deliver(peer, BOB, CAROL, content=Broken([]))

    assert said(outcomes) == ["delayed 451 4.3.0"] * 2
    assert "ZeroDivisionError" in caplog.text
