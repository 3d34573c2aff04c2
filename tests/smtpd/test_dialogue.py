"""The dialogue, without a socket: octets in, replies out."""

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.config import Limits
from notqmail.mail.envelope import Body, Notify, Ret
from notqmail.mail.errors import SpoolError
from notqmail.mail.message import Mark
from notqmail.mail.reply import Reply
from notqmail.policy.settle import Disagreement
from notqmail.policy.transaction import Peer, Session
from notqmail.policy.verdict import ACCEPT, Defer, Quarantine, Reject, Verdict
from notqmail.smtpd.dialogue import BULK, TURN, Dialogue
from tests.support.clock import FakeClock
from tests.support.smtpd import Intake, NullStore, Observer, Records, service


@dataclass
class Talk:
    """A client at the dialogue: `say` gives the replies that came, one string per line."""

    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.intake, self.store = Intake(), NullStore()
        self.journal, self.counts = Records(), Observer()
        made = service(
            intake=self.intake,
            store=self.store,
            journal=self.journal,
            counts=self.counts,
            **self.options,
        )
        peer = Peer("192.0.2.1", 1024, "192.0.2.2", 25)
        self.dialogue = Dialogue(Session("s1", "mx", "mx", peer), made)

    async def open(self) -> list[str]:
        if (work := self.dialogue.open()) is not None:
            await work
        return self._heard()

    async def say(self, *octets: bytes) -> list[str]:
        for piece in octets:
            self.dialogue.feed(piece)
            while (work := self.dialogue.advance()) is not None:
                await work
        return self._heard()

    def _heard(self) -> list[str]:
        out = b"".join(self.dialogue.out)
        self.dialogue.out.clear()
        assert out == b"" or out.endswith(b"\r\n")
        return out.decode().splitlines()


async def greeted(**options: Any) -> Talk:
    talk = Talk(options)
    await talk.open()
    await talk.say(b"EHLO client.example\r\n")
    return talk


async def addressed(**options: Any) -> Talk:
    talk = await greeted(**options)
    replies = await talk.say(
        b"MAIL FROM:<s@example.net>\r\nRCPT TO:<alice@example.org>\r\n",
    )
    assert [line[:3] for line in replies] == ["250", "250"]
    return talk


# greeting


async def test_the_banner_names_the_host_and_esmtp():
    assert await Talk().open() == ["220 mx.example.org ESMTP notqmail"]


async def test_ehlo_offers_exactly_what_is_served():
    talk = Talk()
    await talk.open()

    replies = await talk.say(b"EHLO client.example\r\n")

    assert replies == [
        "250-mx.example.org",
        "250-PIPELINING",
        "250-SIZE 52428800",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-ENHANCEDSTATUSCODES",
        "250-CHUNKING",
        "250-DSN",
        "250 LIMITS MAILMAX=1000 RCPTMAX=1000",
    ]


async def test_helo_gets_one_line_and_the_session_is_smtp():
    talk = Talk()

    assert await talk.say(b"HELO client.example\r\n") == ["250 mx.example.org"]
    assert talk.dialogue.session.esmtp is False


async def test_mail_before_a_greeting_is_refused():
    assert await Talk().say(b"MAIL FROM:<a@example.net>\r\n") == ["503 5.5.1 say EHLO first"]


async def test_lhlo_is_not_spoken_here():
    assert (await Talk().say(b"LHLO client.example\r\n"))[0].startswith("502 5.5.1 ")


# order and small commands


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (b"NOOP\r\n", "250 2.0.0"),
        (b"RSET\r\n", "250 2.0.0"),
        (b"HELP\r\n", "214 2.0.0"),
        (b"VRFY alice\r\n", "252 2.1.5"),
        (b"EXPN list\r\n", "502 5.5.1"),
        (b"STARTTLS\r\n", "502 5.5.1"),
        (b"STARTTLS now\r\n", "501 5.5.4"),
        (b"AUTH PLAIN x\r\n", "502 5.5.1"),
        (b"AUTH\r\n", "501 5.5.4"),
        (b"AUTH PLA!N\r\n", "501 5.5.4"),
        (b"XYZZY\r\n", "500 5.5.1"),
        (b"RCPT TO:<alice@example.org>\r\n", "503 5.5.1"),
        (b"DATA\r\n", "503 5.5.1"),
        (b"NOOP\n", "500 5.5.2"),
        (b"x" * 5000 + b"\r\n", "500 5.5.2"),
    ],
)
async def test_a_command_gets_one_reply_with_an_enhanced_code(command: bytes, reply: str):
    replies = await (await greeted()).say(command)

    assert [line[: len(reply)] for line in replies] == [reply]


async def test_quit_says_goodbye_and_nothing_after_it_is_read():
    talk = await greeted()

    assert await talk.say(b"QUIT\r\nNOOP\r\n") == ["221 2.0.0 bye"]
    assert talk.dialogue.closed


async def test_mail_inside_a_transaction_is_refused():
    talk = await addressed()

    assert (await talk.say(b"MAIL FROM:<b@example.net>\r\n"))[0].startswith("503 5.5.1 ")


async def test_rset_forgets_sender_and_recipients():
    talk = await addressed()

    replies = await talk.say(b"RSET\r\nDATA\r\n")

    assert replies[1] == "503 5.5.1 send MAIL first"


async def test_data_after_only_refused_recipients_says_so():
    talk = await greeted()

    replies = await talk.say(
        b"MAIL FROM:<a@example.net>\r\nRCPT TO:<x@elsewhere.example>\r\nDATA\r\n",
    )

    assert replies[1].startswith("550 5.7.1 relaying denied [ref ")
    assert replies[2] == "554 5.5.1 no valid recipients"


# a message


async def test_a_message_is_queued_with_its_envelope_and_octets():
    talk = await greeted()

    replies = await talk.say(
        b"MAIL FROM:<s@example.net> BODY=8BITMIME RET=HDRS ENVID=QQ314159 SIZE=20\r\n"
        b"RCPT TO:<Alice@Example.ORG> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Joe+2BX@e.example\r\n"
        b"DATA\r\n",
        b"Subject: x\r\n\r\n..dot\r\n.\r\n",
    )

    assert replies[-1] == "250 2.0.0 queued as Q1"
    queue_id, message, octets = talk.intake.accepted[0]
    assert queue_id == "Q1"
    assert octets == b"Subject: x\r\n\r\n.dot\r\n"
    envelope = message.envelope
    assert str(envelope.sender) == "s@example.net"
    assert (envelope.body, envelope.ret, envelope.envid) == (Body.EIGHTBIT, Ret.HDRS, "QQ314159")
    recipient = envelope.recipients[0]
    assert str(recipient.address) == "Alice@example.org"
    assert recipient.notify == Notify.SUCCESS | Notify.DELAY
    assert recipient.orcpt == "rfc822;Joe+X@e.example"


async def test_the_null_sender_is_none():  # LIBRARIES §1 fault 17
    talk = await greeted()

    await talk.say(b"MAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n.\r\n")

    assert talk.intake.accepted[0][1].envelope.sender is None


async def test_after_a_message_the_next_transaction_begins_afresh():
    talk = await addressed()

    replies = await talk.say(b"DATA\r\nx\r\n.\r\nRCPT TO:<alice@example.org>\r\n")

    assert replies[1:] == ["250 2.0.0 queued as Q1", "503 5.5.1 send MAIL first"]


WHOLE = (
    b"EHLO c.example\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"
    b"..x\r\n.y\r\nabc\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\n"
    b"BDAT 6\r\nab\r\n.cBDAT 4 LAST\r\nyz\r\nMAIL FROM:<n@example.net>\r\n"
    b"RCPT TO:<x@example.org>\r\nDATA\r\n.\r\nNOOP\r\nQUIT\r\n"
)


@given(st.lists(st.integers(0, len(WHOLE)), max_size=30))
def test_any_split_of_the_octets_gives_the_same_dialogue(cuts: list[int]):
    async def run(pieces: list[bytes]) -> Any:
        talk = Talk()
        heard = await talk.say(*pieces)
        return heard, [octets for _, _, octets in talk.intake.accepted]

    edges = [0, *sorted(cuts), len(WHOLE)]
    pieces = [WHOLE[a:b] for a, b in pairwise(edges)]

    heard, contents = asyncio.run(run(pieces))

    assert contents == [b".x\r\ny\r\nabc\r\n", b"ab\r\n.cyz\r\n", b""]
    assert [line[:3] for line in heard if line[3] == " "] == (
        [
            "250",
            "250",
            "250",
            "354",
            "250",
            "250",
            "250",
            "250",
            "250",
            "250",
            "250",
            "354",
            "250",
            "250",
            "221",
        ]
    )


@pytest.mark.parametrize(
    ("content", "reply"),
    [
        (b"a\nb\r\n", "550 5.6.11 the message has a bare CR or LF"),
        (b"a\rb\r\n", "550 5.6.11 the message has a bare CR or LF"),
        (b"a\n.\r\nMAIL FROM:<evil@example.net>\r\n", "550 5.6.11 the message has a bare CR or LF"),
        (b"a\0b\r\n", "550 5.6.11 the message has a NUL octet"),
        (b"y" * 20000 + b"\r\n", "554 5.6.0 the message has a line longer"),
        (b"H: " + b"v" * 70 + b"\r\n", ""),
    ],
)
async def test_a_malformed_message_is_refused_at_its_true_end(content: bytes, reply: str):
    talk = await addressed()

    replies = await talk.say(b"DATA\r\n", content + b".\r\nNOOP\r\n")

    assert replies[0].startswith("354 ")
    assert replies[1].startswith(reply or "250 2.0.0 queued")
    assert replies[2] == "250 2.0.0 ok"
    assert len(talk.intake.accepted) == (0 if reply else 1)
    assert talk.store.drafts[0].discarded is bool(reply)


async def test_a_refused_form_carries_a_reference_that_the_journal_has():
    talk = await addressed()

    replies = await talk.say(b"DATA\r\na\nb\r\n.\r\n")

    ref = replies[1].split("[ref ")[1].rstrip("]")
    record = talk.journal.records[-1]
    assert record["ref"] == ref
    assert record["result"] == "refused"
    assert record["decisions"][0]["rule"] == "form"


async def test_a_listener_may_repair_bare_line_feeds():
    talk = await addressed(repair_bare_lf=True)

    replies = await talk.say(b"DATA\r\n", b"a\nb\n.\nc\r\n.\r\n")

    assert replies[-1].startswith("250 ")
    assert talk.intake.accepted[0][2] == b"a\r\nb\r\n.\r\nc\r\n"


async def test_a_header_over_the_limit_is_refused():
    talk = await addressed(limits=Limits(header=1000))

    replies = await talk.say(b"DATA\r\n", *[b"X-Pad: 0123456789\r\n"] * 100, b"\r\nbody\r\n.\r\n")

    assert replies[1].startswith("552 5.3.4 the header is larger")


async def test_a_body_over_the_header_limit_is_not_a_header():
    talk = await addressed(limits=Limits(header=1000))

    replies = await talk.say(
        b"DATA\r\n", b"A: b\r\n", b"\r", b"\n", b"0123456789\r\n" * 500 + b".\r\n"
    )

    assert replies[1].startswith("250 ")


# chunks


async def test_chunks_are_answered_one_by_one_and_joined():
    talk = await addressed()

    replies = await talk.say(b"BDAT 4\r\nab\r\n", b"BDAT 4 LAST\r\ncd\r\n")

    assert replies == ["250 2.0.0 4 octets so far", "250 2.0.0 queued as Q1"]
    assert talk.intake.accepted[0][2] == b"ab\r\ncd\r\n"


async def test_an_empty_last_chunk_ends_the_message():
    talk = await addressed()

    replies = await talk.say(b"BDAT 4\r\nab\r\nBDAT 0 LAST\r\n")

    assert replies[-1] == "250 2.0.0 queued as Q1"


async def test_a_chunk_without_recipients_is_swallowed_and_refused():
    talk = await greeted()

    replies = await talk.say(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")

    assert replies == ["503 5.5.1 send MAIL first", "250 2.0.0 ok"]


async def test_data_and_rcpt_between_chunks_are_refused():
    talk = await addressed()

    replies = await talk.say(
        b"BDAT 2\r\nabDATA\r\nRCPT TO:<bob@example.org>\r\nBDAT 2 LAST\r\n\r\n"
    )

    assert [line[:9] for line in replies] == ["250 2.0.0", "503 5.5.1", "503 5.5.1", "250 2.0.0"]


async def test_a_faulty_chunk_refuses_the_message_at_the_end():
    talk = await addressed()

    replies = await talk.say(b"BDAT 3\r\na\nbBDAT 2 LAST\r\n\r\n")

    assert replies[1].startswith("550 5.6.11 ")
    assert talk.intake.accepted == []


async def test_an_oversize_chunk_is_refused_at_once_and_what_follows_has_no_transaction():
    talk = await addressed(limits=Limits(message=10))

    replies = await talk.say(b"BDAT 20\r\n" + b"x" * 20 + b"BDAT 2 LAST\r\n\r\n")

    assert [line[:9] for line in replies] == ["552 5.3.4", "503 5.5.1"]
    assert talk.intake.accepted == []


@pytest.mark.parametrize("line", [b"BDAT 8\n", b"BDAT 0" + b"0" * 5000 + b"8\r\n", b"BDAT \r8\r\n"])
async def test_content_after_a_spoiled_bdat_is_never_taken_for_commands(line: bytes):
    talk = await addressed()

    replies = await talk.say(line + b"QUIT\r\n\r\n")

    assert [reply[:3] for reply in replies] == ["500"]
    assert talk.dialogue.closed


# limits


async def test_an_announced_size_over_the_limit_is_refused_at_mail():
    talk = await greeted(limits=Limits(message=1000))

    assert (await talk.say(b"MAIL FROM:<a@example.net> SIZE=1001\r\n"))[0].startswith("552 5.3.4 ")


async def test_a_message_over_the_limit_is_drained_and_refused():
    talk = await addressed(limits=Limits(message=1000))

    replies = await talk.say(b"DATA\r\n", *[b"x" * 98 + b"\r\n"] * 20, b".\r\nNOOP\r\n")

    assert replies[1].startswith("552 5.3.4 ")
    assert replies[2] == "250 2.0.0 ok"
    assert talk.store.drafts[0].size <= 1000


async def test_a_message_that_is_only_drained_lets_other_sessions_have_their_turn():
    talk = await addressed(limits=Limits(message=1000))
    await talk.say(b"DATA\r\n")

    for _ in range(3):
        talk.dialogue.feed(b"x" * BULK)
        work = talk.dialogue.advance()
        assert work is not None
        await work
        assert talk.dialogue.advance() is None


async def test_too_many_recipients_are_put_off():
    talk = await greeted(limits=Limits(recipients=100))
    rcpt = b"".join(b"RCPT TO:<u%d@example.org>\r\n" % n for n in range(102))

    replies = await talk.say(b"MAIL FROM:<a@example.net>\r\n" + rcpt)

    assert [line[:9] for line in replies[-3:]] == ["250 2.1.5", "452 4.5.3", "452 4.5.3"]


async def test_who_goes_on_sending_what_is_put_off_is_sent_away():
    talk = await greeted(limits=Limits(recipients=100))
    rcpt = b"RCPT TO:<alice@example.org>\r\n"

    replies = await talk.say(b"MAIL FROM:<a@example.net>\r\n" + rcpt * 300)

    assert [line[:3] for line in replies] == ["250"] * 101 + ["452"] * 101 + ["421"]
    assert talk.dialogue.closed


async def test_a_long_pipeline_lets_other_sessions_have_their_turn():
    clock = FakeClock()
    talk = await greeted(clock=clock, stages=[Busy(clock)])
    rcpt = b"RCPT TO:<alice@example.org>\r\n"

    talk.dialogue.feed(b"MAIL FROM:<a@example.net>\r\n" + rcpt * 10)
    turns = 0
    while (work := talk.dialogue.advance()) is not None:
        await work
        turns += 1

    assert turns == 10
    assert b"".join(talk.dialogue.out).count(b"250 2.1.5 ") == 10


async def test_too_many_errors_end_the_session():
    talk = await greeted(limits=Limits(errors=3))

    replies = await talk.say(b"X\r\nX\r\nX\r\nX\r\n")

    assert [line[:9] for line in replies] == ["500 5.5.1"] * 3 + ["421 4.7.0"]
    assert talk.dialogue.closed


async def test_too_many_commands_that_move_no_mail_end_the_session():
    talk = await greeted(limits=Limits(commands=10))

    replies = await talk.say(b"NOOP\r\n" * 12)

    assert [line[:3] for line in replies] == ["250"] * 9 + ["421"]


async def test_empty_chunks_move_no_mail():
    talk = await addressed(limits=Limits(commands=10))

    replies = await talk.say(b"BDAT 0\r\n" * 12)

    assert [line[:3] for line in replies] == ["250"] * 9 + ["421"]


async def test_an_accepted_message_forgives_earlier_errors():
    talk = await addressed(limits=Limits(errors=3))

    await talk.say(b"X\r\nX\r\nDATA\r\nx\r\n.\r\n")
    replies = await talk.say(b"X\r\nX\r\nNOOP\r\n")

    assert [line[:3] for line in replies] == ["500", "500", "250"]


async def test_too_many_messages_in_a_session_end_it():
    talk = await greeted(limits=Limits(messages=1))

    replies = await talk.say(b"MAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\n")

    assert replies[-1].startswith("421 4.5.3 ")


# internationalised addresses


async def test_a_utf8_recipient_needs_smtputf8_on_mail():
    talk = await greeted()
    rcpt = "RCPT TO:<pelé@example.org>\r\n".encode()

    without = await talk.say(b"MAIL FROM:<a@example.net>\r\n" + rcpt + b"RSET\r\n")
    with_it = await talk.say(b"MAIL FROM:<a@example.net> SMTPUTF8\r\n" + rcpt)

    assert without[1].startswith("553 5.6.7 ")
    assert with_it[1].startswith("250 2.1.5 ")


# judgement


class Busy:
    """A stage that takes a whole turn for each recipient, without waiting."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock

    def on_rcpt(self, *_: Any) -> Verdict:
        self.clock.advance(TURN)
        return ACCEPT


class Judge:
    """A stage that says at RCPT and after the message what it was told to say."""

    def __init__(self, rcpt: Any = ACCEPT, message: Any = ACCEPT) -> None:
        self.rcpt, self.message = rcpt, message

    def on_rcpt(self, txn: Any, recipient: Any) -> Any:
        return self.rcpt

    def on_message(self, txn: Any, message: Any) -> Any:
        return self.message


class SlowJudge(Judge):
    """The same, after a turn of the loop."""

    async def on_connect(self, session: Any) -> Any:
        await asyncio.sleep(0)
        return ACCEPT

    async def on_helo(self, session: Any) -> Any:
        await asyncio.sleep(0)
        return ACCEPT

    async def on_mail(self, txn: Any) -> Any:
        await asyncio.sleep(0)
        return ACCEPT

    async def on_rcpt(self, txn: Any, recipient: Any) -> Any:
        await asyncio.sleep(0)
        return self.rcpt

    async def on_message(self, txn: Any, message: Any) -> Any:
        await asyncio.sleep(0)
        return self.message


NO = Reject(Reply(550, "5.7.1", "no"), "test")
LATER = Defer(Reply(451, "4.7.1", "later"), "test")


@pytest.mark.parametrize("judge", [Judge, SlowJudge])
async def test_stages_that_wait_and_stages_that_do_not_are_answered_alike(judge: type[Judge]):
    talk = Talk({"stages": [judge()]})

    opened = await talk.open()
    heard = await talk.say(WHOLE)

    assert opened[0].startswith("220 ")
    assert [line[:3] for line in heard if line[3] == " "] == (
        [
            "250",
            "250",
            "250",
            "354",
            "250",
            "250",
            "250",
            "250",
            "250",
            "250",
            "250",
            "354",
            "250",
            "250",
            "221",
        ]
    )


@pytest.mark.parametrize("judge", [Judge, SlowJudge])
@pytest.mark.parametrize(("verdict", "code"), [(NO, "550"), (LATER, "451")])
async def test_a_message_refused_by_all_is_not_kept(judge: type[Judge], verdict: Any, code: str):
    talk = await addressed(stages=[judge(message=verdict)])

    replies = await talk.say(b"DATA\r\nx\r\n.\r\nNOOP\r\n")

    assert [line[:3] for line in replies] == ["354", code, "250"]
    assert talk.intake.accepted == []
    assert talk.store.drafts[0].discarded
    assert talk.journal.records[-1]["result"] == "refused"


async def test_a_quarantine_leaves_its_mark_on_the_message():
    mark = Mark("Junk", "test")
    talk = await addressed(stages=[Judge(rcpt=Quarantine(mark, "test"))])

    await talk.say(b"DATA\r\nx\r\n.\r\n")

    message = talk.intake.accepted[0][1]
    assert list(message.marks.values()) == [mark]


async def test_a_refused_recipient_is_counted_and_not_stored():
    talk = await greeted(stages=[Judge(rcpt=NO)])

    replies = await talk.say(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.org>\r\n")

    assert replies[1].startswith("550 5.7.1 no [ref ")
    assert talk.counts.refusals["5.7.1"] == 1


class Disagrees(Judge):
    """Says no after the message, to one of its recipients."""

    def on_message(self, txn: Any, message: Any) -> Any:
        return {txn.recipients[1]: NO}


@pytest.mark.parametrize("how", Disagreement)
async def test_who_refuses_what_others_take_is_marked_or_told_by_a_report(how: Disagreement):
    talk = await addressed(stages=[Disagrees()], disagreement=how)
    await talk.say(b"RCPT TO:<bob@example.org>\r\n")

    replies = await talk.say(b"DATA\r\nx\r\n.\r\n")

    message, txn = talk.intake.accepted[0][1], talk.intake.transactions[0]
    bob = message.envelope.recipients[1]
    assert replies[-1].startswith("250 ")
    assert [who for who, _ in message.marks.items()] == ([] if how is Disagreement.DSN else [bob])
    assert list(txn.dropped) == ([bob] if how is Disagreement.DSN else [])


async def test_a_connection_that_comes_to_nothing_is_in_the_journal():
    talk = await greeted()

    await talk.say(b"QUIT\r\n")

    assert [(r["kind"], r["why"]) for r in talk.journal.records] == [
        ("connection", "221 2.0.0 bye")
    ]
    assert talk.counts.refusals.total() == 0


# trouble on our side


@pytest.mark.parametrize(("full", "reply"), [(True, "452 4.3.1 "), (False, "451 4.3.0 ")])
async def test_a_store_without_room_leaves_the_message_with_the_client(full: bool, reply: str):
    talk = await addressed()
    talk.store.fault = SpoolError("no", full=full)

    assert (await talk.say(b"DATA\r\n"))[0].startswith(reply)


@pytest.mark.parametrize(("full", "reply"), [(True, "452 4.3.1 "), (False, "451 4.3.0 ")])
async def test_a_failed_commit_is_a_4xx_and_the_session_goes_on(full: bool, reply: str):
    talk = await addressed()  # LIBRARIES §1 fault 3
    talk.intake.fault = SpoolError("/var/spool: no space", full=full)

    replies = await talk.say(b"DATA\r\nx\r\n.\r\nMAIL FROM:<a@example.net>\r\n")

    assert replies[1].startswith(reply)
    assert "spool" not in replies[1]
    assert replies[2].startswith("250 2.1.0")


async def test_a_write_that_fails_refuses_the_message_at_its_end():
    talk = await addressed()
    await talk.say(b"DATA\r\n")
    talk.store.drafts[0].fault = SpoolError("no", full=True)

    replies = await talk.say(b"x\r\n", b"y\r\n.\r\n")

    assert replies[0].startswith("452 4.3.1 ")


@pytest.mark.parametrize("fails", [False, True])
async def test_back_pressure_is_awaited_before_more_is_read(fails: bool):
    talk = await addressed()
    await talk.say(b"DATA\r\n")
    gate = asyncio.get_running_loop().create_future()
    talk.store.drafts[0].pressure = gate

    talk.dialogue.feed(b"x\r\n")
    work = talk.dialogue.advance()
    if fails:
        gate.set_exception(SpoolError("no"))
    else:
        gate.set_result(None)
    assert work is not None
    await work
    talk.store.drafts[0].pressure = None
    replies = await talk.say(b"y\r\n.\r\n")

    assert replies[0][:3] == ("451" if fails else "250")


async def test_the_last_octets_may_meet_back_pressure_too():
    talk = await addressed()
    await talk.say(b"DATA\r\n")
    gate = asyncio.get_running_loop().create_future()
    gate.set_result(None)
    talk.store.drafts[0].pressure = gate

    assert (await talk.say(b"x\r\n.\r\n"))[0].startswith("250 ")


# the end


async def test_draining_ends_the_session_at_the_next_command_boundary():
    talk = await addressed()
    await talk.say(b"DATA\r\nx")
    talk.dialogue.draining = True

    replies = await talk.say(b"y\r\n.\r\n")

    assert [line[:9] for line in replies] == ["250 2.0.0", "421 4.3.2"]
    assert talk.dialogue.closed


async def test_a_hang_up_in_a_transaction_is_in_the_journal():
    talk = await addressed()
    await talk.say(b"DATA\r\nhalf a mess")

    talk.dialogue.close()
    talk.dialogue.close()

    assert [record["result"] for record in talk.journal.records] == ["abandoned"]
    assert talk.store.drafts[0].discarded
    assert await talk.say(b"age\r\n.\r\n") == []
