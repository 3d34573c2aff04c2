"""The pipeline: what is held, what is pronounced, what is asked of whom."""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from typing import Any

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
from notqmail.policy.verdict import ACCEPT, Accept, Defer, Quarantine, Reject, Verdict, strictest
from tests.support.clock import FakeClock, virtual_time
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


# What the hooks are given


def test_a_rejection_ends_the_phases_before_rcpt_and_a_deferral_does_not() -> None:
    for verdict, asked in ((LATER, 1), (NO, 0)):
        connecting, sending = says("connect"), says("mail")

        pipeline(says("connect", verdict), connecting).connect(session())
        pipeline(says("mail", verdict), sending).mail(transaction())

        assert (len(connecting.asked), len(sending.asked)) == (asked, asked)


async def test_editors_are_given_transaction_and_message_before_and_after_a_wait() -> None:
    txn, seen = transaction(ALICE), list[object]()
    first, second = message(txn, b"1"), message(txn, b"2")

    def edit(result: Message) -> Any:
        def hook(*args: object) -> Message:
            seen.append(args)
            return result

        return hook

    stages = [
        says("queue", edit(first)),
        says("queue", later(second, nothing)),
        says("queue", edit(second)),
        says("queue", edit(first)),
    ]
    begun = message(txn, b"0")

    assert await settled(pipeline(*stages).queue(txn, begun)) is first
    assert seen == [(txn, begun), (txn, second), (txn, second)]


async def test_hooks_of_departure_are_given_message_and_hop() -> None:
    stored, hop, seen = message(transaction(ALICE)), Hop("smtp", "x"), list[object]()

    def relay(*args: object) -> list[object]:
        seen.append(args)
        return [stored]

    await settled(pipeline(says("relay", relay)).relay(stored, hop))

    assert seen == [(stored, hop)]


@virtual_time
async def test_editing_and_departing_have_a_budget_too() -> None:
    txn = transaction(ALICE)
    stored = message(txn)
    clock = FakeClock()
    editing = pipeline(says("queue", later(stored, asyncio.Event().wait)), clock=clock, budget=5.0)
    departing = pipeline(
        says("relay", later([stored], asyncio.Event().wait)), clock=clock, budget=5.0
    )

    with pytest.raises(SpoolError):
        await settled(editing.queue(txn, stored))
    with pytest.raises(SpoolError):
        await settled(departing.relay(stored, Hop("smtp", "x")))

    assert clock.monotonic() == 10.0


@virtual_time
async def test_every_later_stage_of_a_phase_has_the_same_budget() -> None:
    clock, txn = FakeClock(), transaction(ALICE)
    stages = [
        says("message", later(ACCEPT, nothing)),
        says("message", later(ACCEPT, asyncio.Event().wait)),
    ]

    verdicts = await settled(pipeline(*stages, clock=clock, budget=5.0).message(txn, message(txn)))

    assert isinstance(verdicts[ALICE], Defer)
    assert clock.monotonic() == 5.0


async def test_what_is_recorded_names_stage_phase_verdict_and_recipient() -> None:
    txn = transaction(ALICE, CAROL)
    judged = pipeline(says("message", {ALICE: NO}, "one"), says("message", LATER, "two"))

    await settled(judged.message(txn, message(txn)))

    assert [(d.stage, d.phase, d.verdict, d.recipient) for d in txn.decisions] == [
        ("one", "message", NO, "alice@example.org"),
        ("two", "message", LATER, ""),
    ]


async def test_what_was_held_is_recorded_under_the_stage_that_said_it() -> None:
    txn = transaction()
    judged = pipeline(says("mail", NO, "early"))
    judged.mail(txn)

    judged.rcpt(txn, ALICE)

    assert [(d.stage, d.phase) for d in txn.decisions] == [("early", "mail"), ("early", "rcpt")]


@pytest.mark.parametrize(
    "answer", [lambda *_: 1 / 0, later(None, broken)], ids=["at once", "later"]
)
async def test_a_failure_is_recorded_and_logged_under_its_stage_and_phase(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    txn = transaction(ALICE)

    await settled(pipeline(says("message", answer, "odd")).message(txn, message(txn)))

    assert [(d.stage, d.rule) for d in txn.decisions] == [("odd", "stage failed")]
    assert "stage failed stage=odd phase=message" in caplog.text


@virtual_time
async def test_an_overrun_is_recorded_under_its_stage(caplog: pytest.LogCaptureFixture) -> None:
    txn = transaction(ALICE)
    stage = says("message", later(ACCEPT, asyncio.Event().wait), "slow")

    await settled(pipeline(stage, budget=5.0).message(txn, message(txn)))

    assert [d.stage for d in txn.decisions] == ["slow"]
    assert "stage took too long stage=slow phase=message budget=5.0" in caplog.text


def test_a_body_that_cannot_be_seen_is_logged_and_recorded_under_its_stage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    txn = transaction(ALICE)
    judged = pipeline(says("body", lambda *_: 1 / 0, "blind"))

    judged.body(txn)
    judged.message(txn, message(txn))

    assert "stage failed stage=blind phase=body" in caplog.text
    assert [d.stage for d in txn.decisions] == ["blind"]


@pytest.mark.parametrize("phase", ["queue", "relay"])
async def test_a_stage_that_spoils_a_message_is_named_in_the_log(
    phase: str, caplog: pytest.LogCaptureFixture
) -> None:
    txn = transaction(ALICE)
    judged = pipeline(says(phase, lambda *_: 1 / 0, "odd"))

    with pytest.raises(SpoolError, match=r"^stage odd failed$"):
        await settled(
            judged.queue(txn, message(txn))
            if phase == "queue"
            else judged.relay(message(txn), Hop("smtp", "x"))
        )

    assert f"stage failed stage=odd phase={phase}" in caplog.text


@pytest.mark.parametrize("phase", ["connect", "helo", "mail"])
@virtual_time
async def test_phases_before_rcpt_have_a_budget_too(phase: str) -> None:
    clock, txn = FakeClock(), transaction()
    stage = says(phase, later(ACCEPT, asyncio.Event().wait))
    judged = pipeline(stage, clock=clock, budget=5.0)

    for pending in (judged.connect(txn.session), judged.helo(txn.session), judged.mail(txn)):
        await settled(pending)

    assert [held.rule for held in (*txn.session.held, *txn.held)] == ["stage took too long"]
    assert clock.monotonic() == 5.0
