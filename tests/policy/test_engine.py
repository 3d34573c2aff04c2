"""The loop over hooks: failures, budgets, cancellation."""

import asyncio
import logging

import pytest

from notqmail.policy.verdict import ACCEPT, Defer
from tests.support.clock import FakeClock, virtual_time
from tests.support.policy import (
    ALICE,
    LATER,
    NO,
    later,
    phases,
    pipeline,
    says,
    settled,
    transaction,
)


async def forever() -> None:
    await asyncio.Event().wait()


async def nothing() -> None:
    """Wait for nothing."""


async def broken() -> None:
    raise OSError("secret detail")


NONSENSE = [lambda *_: None, lambda *_: True, later("250 OK", nothing)]


@pytest.mark.parametrize("hook", [lambda *_: 1 / 0, later(ACCEPT, broken), *NONSENSE])
async def test_a_stage_that_fails_defers(hook: object, caplog: pytest.LogCaptureFixture) -> None:
    verdict = await settled(pipeline(says("rcpt", hook)).rcpt(transaction(), ALICE))

    assert isinstance(verdict, Defer)
    assert str(verdict.reply) == "451 4.3.0 try again later"
    assert [(r.levelno, bool(r.exc_info)) for r in caplog.records] == [(logging.ERROR, True)]


@pytest.mark.parametrize("hook", [lambda *_: {ALICE: "no"}, lambda *_: {ALICE: ACCEPT}])
async def test_a_mapping_is_no_answer_about_one_recipient(
    hook: object, caplog: pytest.LogCaptureFixture
) -> None:
    verdict = await settled(pipeline(says("rcpt", hook)).rcpt(transaction(), ALICE))

    assert verdict.rule == "stage failed"
    assert "is no verdict" in caplog.text


async def test_after_a_failure_the_others_are_still_asked(caplog: pytest.LogCaptureFixture) -> None:
    stages = [says("rcpt", lambda *_: 1 / 0), says("rcpt", later(NO, nothing))]

    assert await settled(pipeline(*stages).rcpt(transaction(), ALICE)) == NO


@virtual_time
async def test_a_stage_that_overruns_its_budget_defers(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    txn = transaction()
    judged = pipeline(says("rcpt", later(ACCEPT, forever)), clock=clock, budget=5.0)

    verdict = await settled(judged.rcpt(txn, ALICE))

    assert isinstance(verdict, Defer)
    assert (verdict.reply.code, verdict.rule, clock.monotonic()) == (
        451,
        "stage took too long",
        5.0,
    )
    assert "stage took too long stage=says phase=rcpt" in caplog.text


@virtual_time
async def test_each_stage_has_a_budget_and_a_time_of_its_own() -> None:
    async def seconds() -> None:
        await asyncio.sleep(4.0)

    txn = transaction()
    stages = [says("rcpt", later(LATER, seconds)), says("rcpt", later(NO, seconds))]

    assert await settled(pipeline(*stages, budget=5.0).rcpt(txn, ALICE)) == NO
    assert [d.seconds for d in txn.decisions] == [4.0, 4.0]


@virtual_time
async def test_cancellation_is_not_swallowed() -> None:
    judging = asyncio.ensure_future(
        settled(pipeline(says("rcpt", later(ACCEPT, forever))).rcpt(transaction(), ALICE))
    )
    await asyncio.sleep(0)
    judging.cancel()

    with pytest.raises(asyncio.CancelledError):
        await judging


async def test_a_rejection_ends_its_phase() -> None:
    last = says("rcpt")
    stages = [says("rcpt", later(NO, nothing)), last]

    await settled(pipeline(*stages).rcpt(transaction(), ALICE))

    assert last.asked == []


async def test_hooks_that_wait_and_hooks_that_do_not_keep_their_order() -> None:
    txn = transaction()
    stages = [
        says("rcpt", LATER, "a"),
        says("rcpt", later(LATER, nothing), "b"),
        says("rcpt", LATER, "c"),
        says("rcpt", later(LATER, nothing), "d"),
    ]

    await settled(pipeline(*stages).rcpt(txn, ALICE))

    assert phases(txn.decisions) == [(name, "rcpt", "defer") for name in "abcd"]
