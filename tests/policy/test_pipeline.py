"""The pipeline: what is held, what is pronounced, what is asked of whom."""

import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.errors import SpoolError
from notqmail.mail.header import HeaderEdit
from notqmail.mail.hop import Hop
from notqmail.mail.message import Mark, Message
from notqmail.policy.evidence import Evidence
from notqmail.policy.exempt import Exemptions
from notqmail.policy.transaction import Session, Transaction
from notqmail.policy.verdict import ACCEPT, Accept, Quarantine, Reject, Verdict, strictest
from tests.support.clock import virtual_time
from tests.support.policy import (
    ALICE,
    CAROL,
    LATER,
    NO,
    POSTMASTER,
    STRANGER,
    is_local,
    later,
    message,
    phases,
    pipeline,
    says,
    session,
    settled,
    transaction,
)

JUNK = Quarantine(Mark("Junk", "smells"), "smell")
NOTHING_SAID = says("relay")


async def nothing() -> None:
    """Wait for nothing."""


# The guard


def test_a_pipeline_without_stages_is_no_relay() -> None:
    verdict = pipeline().rcpt(transaction(), STRANGER)

    assert isinstance(verdict, Reject)
    assert verdict.reply.code == 550


def test_a_stage_that_accepts_does_not_open_a_relay() -> None:
    welcome = Accept("everybody is welcome")
    open_to_all = [says(phase, welcome) for phase in ("connect", "mail", "rcpt")]

    assert isinstance(pipeline(*open_to_all).rcpt(transaction(), STRANGER), Reject)


def test_no_stage_is_asked_about_a_recipient_that_the_guard_refuses() -> None:
    asked = says("rcpt")

    pipeline(asked).rcpt(transaction(), STRANGER)

    assert asked.asked == []


# Held verdicts


@pytest.mark.parametrize("phase", ["connect", "helo", "mail"])
def test_a_refusal_before_rcpt_is_held_until_then(phase: str) -> None:
    judged = pipeline(says(phase, NO))
    within = session()
    txn = transaction(within=within)

    assert judged.connect(within) is None
    assert judged.helo(within) is None
    assert judged.mail(txn) is None
    assert judged.rcpt(txn, ALICE) == NO


def test_a_held_refusal_spares_who_is_exempt() -> None:
    judged = pipeline(says("mail", NO), exempt=Exemptions(is_local))
    txn = transaction()
    judged.mail(txn)

    assert judged.rcpt(txn, POSTMASTER) is ACCEPT
    assert judged.rcpt(txn, ALICE) == NO


def test_a_held_rejection_is_told_without_asking_further() -> None:
    asked = says("rcpt")
    judged = pipeline(says("mail", NO), asked)
    txn = transaction()
    judged.mail(txn)

    judged.rcpt(txn, ALICE)

    assert asked.asked == []


def test_a_held_deferral_gives_way_to_a_rejection() -> None:
    judged = pipeline(says("mail", LATER), says("rcpt", NO))
    txn = transaction()
    judged.mail(txn)

    assert judged.rcpt(txn, ALICE) == NO


def test_an_acceptance_is_recorded_but_not_held() -> None:
    judged, txn = pipeline(says("mail", Accept("known")), says("mail", Accept())), transaction()

    judged.mail(txn)

    assert (phases(txn.decisions), txn.held) == ([("says", "mail", "accept")], [])


def test_a_held_quarantine_marks_every_recipient() -> None:
    judged = pipeline(says("connect", JUNK))
    within = session()
    judged.connect(within)
    txn = transaction(within=within)

    assert judged.rcpt(txn, ALICE) == JUNK
    assert txn.marks == {ALICE: JUNK.mark}


def test_a_new_greeting_replaces_what_was_held_about_the_last() -> None:
    judged = pipeline(
        says("connect", LATER, "first"),
        says("helo", lambda s: NO if s.helo == "bad" else ACCEPT, "second"),
    )
    within = session(helo="bad")
    judged.connect(within)
    judged.helo(within)
    within.helo = "good"
    judged.helo(within)

    assert phases(within.held) == phases(within.decisions) == [("first", "connect", "defer")]


@dataclass(frozen=True)
class Name:
    helo: str


def test_a_new_greeting_brings_new_evidence_and_keeps_the_connections() -> None:
    @dataclass
    class Finder:
        def on_connect(self, session: Session) -> Verdict:
            session.evidence.add(Mark("connection"))
            return ACCEPT

        def on_helo(self, session: Session) -> Verdict:
            session.evidence.add(Name(session.helo))
            return ACCEPT

    judged, within = pipeline(Finder()), session(helo="one")
    judged.connect(within)
    judged.helo(within)
    within.helo = "two"
    judged.helo(within)

    assert within.evidence.get(Name) == Name("two")
    assert within.evidence.get(Mark) == Mark("connection")


def test_the_recipient_of_a_held_refusal_is_recorded() -> None:
    judged = pipeline(says("mail", NO))
    txn = transaction()
    judged.mail(txn)
    judged.rcpt(txn, ALICE)

    assert [(d.phase, d.recipient) for d in txn.decisions] == [
        ("mail", ""),
        ("rcpt", "alice@example.org"),
    ]


# What is recorded


def test_silence_is_not_recorded() -> None:
    txn = transaction()

    assert pipeline(says("rcpt"), says("rcpt", Accept())).rcpt(txn, ALICE) is ACCEPT
    assert txn.decisions == []


def test_an_acceptance_with_a_rule_is_recorded() -> None:
    txn = transaction()

    pipeline(says("rcpt", Accept("known"))).rcpt(txn, ALICE)

    assert phases(txn.decisions) == [("says", "rcpt", "accept")]


def test_a_phase_that_nobody_implements_asks_nobody() -> None:
    judged, txn = pipeline(NOTHING_SAID), transaction(ALICE)

    assert judged.connect(txn.session) is None
    assert judged.helo(txn.session) is None
    assert judged.mail(txn) is None
    assert judged.body(txn) == ()
    assert judged.message(txn, message(txn)) == {ALICE: ACCEPT}


# References


def test_a_refusal_carries_the_reference_of_its_transaction() -> None:
    judged = pipeline(says("rcpt", NO), reference=iter(["K7Q2M4XW"]).__next__)
    txn = transaction()

    texts = [judged.rcpt(txn, who).reply.text for who in (ALICE, CAROL)]  # type: ignore[union-attr]

    assert texts == ["no [ref K7Q2M4XW]"] * 2
    assert txn.ref == "K7Q2M4XW"


def test_who_is_accepted_gets_no_reference() -> None:
    txn = transaction()

    pipeline(says("rcpt", JUNK), reference=lambda: "K7Q2M4XW").rcpt(txn, ALICE)

    assert txn.ref == ""


# The message


def test_a_verdict_on_the_message_is_for_every_recipient() -> None:
    txn = transaction(ALICE, CAROL)

    assert pipeline(says("message", NO)).message(txn, message(txn)) == {ALICE: NO, CAROL: NO}


def test_recipients_may_disagree() -> None:
    txn = transaction(ALICE, CAROL)
    judged = pipeline(says("message", {CAROL: NO}))

    assert judged.message(txn, message(txn)) == {ALICE: ACCEPT, CAROL: NO}
    assert [d.recipient for d in txn.decisions] == ["carol@example.org"]


def test_a_verdict_on_somebody_else_is_ignored() -> None:
    txn = transaction(ALICE)

    assert pipeline(says("message", {STRANGER: NO})).message(txn, message(txn)) == {ALICE: ACCEPT}


def test_a_quarantine_of_rcpt_sticks() -> None:
    judged = pipeline(says("rcpt", JUNK), says("message"))
    txn = transaction()
    judged.rcpt(txn, ALICE)
    txn.recipients.append(ALICE)

    said = judged.message(txn, message(txn))

    assert said == {ALICE: Quarantine(JUNK.mark)}
    assert txn.marks == {ALICE: JUNK.mark}


def test_a_refusal_of_the_message_carries_the_reference() -> None:
    txn = transaction(ALICE)

    said = pipeline(says("message", NO), reference=lambda: "K7Q2M4XW").message(txn, message(txn))

    assert [v.reply.text for v in said.values()] == ["no [ref K7Q2M4XW]"]  # type: ignore[union-attr]


# The body


@dataclass
class Collects:
    txn: Transaction
    seen: list[bytes] = field(default_factory=list)
    fail: bool = False

    def feed(self, chunk: bytes) -> None:
        if self.fail:
            raise OSError("a scanner died")
        self.seen.append(chunk)

    def finish(self) -> None:
        self.txn.evidence.add(b"".join(self.seen))


@dataclass(frozen=True)
class Scanner:
    fail: bool = False

    def on_body(self, txn: Transaction) -> Collects:
        return Collects(txn, fail=self.fail)


def test_a_sink_sees_the_content_and_leaves_evidence() -> None:
    txn = transaction(ALICE)
    (sink,) = pipeline(Scanner()).body(txn)

    sink.feed(b"one ")
    sink.feed(b"two")
    sink.finish()

    assert txn.evidence.get(bytes) == b"one two"


def test_a_stage_may_decline_to_see_a_body() -> None:
    assert pipeline(says("body", lambda txn: None)).body(transaction()) == ()


@pytest.mark.parametrize("stage", [Scanner(fail=True), says("body", lambda txn: 1 / 0)])
def test_a_body_that_a_stage_could_not_see_is_deferred(
    stage: object, caplog: pytest.LogCaptureFixture
) -> None:
    txn = transaction(ALICE)
    judged = pipeline(stage)
    for sink in judged.body(txn):
        sink.feed(b"x")
        sink.finish()

    (verdict,) = judged.message(txn, message(txn)).values()  # type: ignore[union-attr]

    assert verdict.reply.code == 451
    assert "stage failed" in caplog.text


# Editing and departing


def test_every_stage_of_on_queue_edits_what_the_last_one_left() -> None:
    def edit(name: bytes) -> object:
        return lambda txn, m: replace(m, edits=(*m.edits, HeaderEdit("prepend", name)))

    txn = transaction(ALICE)
    edited = pipeline(says("queue", edit(b"A:\r\n")), says("queue", edit(b"B:\r\n"))).queue(
        txn, message(txn)
    )

    assert isinstance(edited, Message)
    assert [e.field for e in edited.edits] == [b"A:\r\n", b"B:\r\n"]


async def test_editing_may_wait_in_the_middle() -> None:
    txn = transaction(ALICE)
    first, last = message(txn, b"1"), message(txn, b"2")
    stages = [
        says("queue", later(first, nothing)),
        says("queue", lambda txn, m: m),
        says("queue", later(last, nothing)),
    ]

    assert await settled(pipeline(*stages).queue(txn, message(txn))) is last


async def broken() -> None:
    raise OSError("secret detail")


@pytest.mark.parametrize(
    "answer",
    [lambda *_: 1 / 0, later(None, broken), lambda *_: None],
    ids=["raises", "raises later", "nonsense"],
)
async def test_a_stage_that_cannot_edit_defers_the_message(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    txn = transaction(ALICE)

    with pytest.raises(SpoolError, match=r"^stage says failed$"):
        await settled(pipeline(says("queue", answer)).queue(txn, message(txn)))

    assert "phase=queue" in caplog.text


async def test_what_departs_is_what_the_stages_make_of_it() -> None:
    txn = transaction(ALICE)
    one, two, three = (message(txn, body) for body in (b"1", b"2", b"3"))
    stages = [
        says("relay", lambda m, hop: [one, two]),
        says("relay", later([three], nothing)),
    ]

    assert await settled(pipeline(*stages).relay(message(txn), Hop("smtp", "x"))) == [three, three]


def test_without_a_stage_the_message_departs_as_it_is() -> None:
    stored = message(transaction(ALICE))

    assert pipeline().relay(stored, Hop("smtp", "x")) == (stored,)


async def test_a_stage_that_fails_at_departure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    judged = pipeline(says("relay", lambda *_: 1 / 0))

    with pytest.raises(SpoolError):
        await settled(judged.relay(message(transaction(ALICE)), Hop("smtp", "x")))

    assert [r.levelno for r in caplog.records] == [logging.ERROR]


# Waiting


@virtual_time
async def test_a_phase_waits_only_when_a_hook_does() -> None:
    judged = pipeline(says("connect", later(NO, nothing)), says("helo", NO))
    within = session()

    waiting = judged.connect(within)
    assert isinstance(waiting, Awaitable)
    await waiting

    assert judged.helo(within) is None
    assert phases(within.held) == [("says", "connect", "reject"), ("says", "helo", "reject")]


async def test_a_message_may_be_judged_later() -> None:
    txn = transaction(ALICE, CAROL)
    judged = pipeline(says("message", later({CAROL: NO}, nothing)), says("message", LATER))

    assert await settled(judged.message(txn, message(txn))) == {ALICE: LATER, CAROL: NO}


verdicts = st.sampled_from([ACCEPT, JUNK, LATER, NO])


@given(
    st.lists(verdicts, max_size=3), st.lists(verdicts, max_size=3), st.lists(verdicts, max_size=3)
)
def test_no_order_of_stages_makes_a_verdict_milder(
    connect: list[Verdict], mail: list[Verdict], rcpt: list[Verdict]
) -> None:
    stages = [
        says(phase, verdict)
        for phase, said in (("connect", connect), ("mail", mail), ("rcpt", rcpt))
        for verdict in said
    ]
    judged, within = pipeline(*stages), session()
    txn = transaction(within=within)
    judged.connect(within)
    judged.mail(txn)

    strictest_of_all: Verdict = ACCEPT
    for verdict in (*connect, *mail, *rcpt):
        strictest_of_all = strictest(strictest_of_all, verdict)

    assert judged.rcpt(txn, ALICE) == strictest_of_all


def test_a_session_starts_without_evidence() -> None:
    assert session().evidence.get(Evidence) is None
