"""One attempt, when things break."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from notqmail.config import Queue, Seconds
from notqmail.mail.entry import Entry, Routed
from notqmail.mail.errors import SpoolError
from notqmail.mail.hop import Hop
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply
from notqmail.queue.attempt import NO_TRANSPORT, Attempts
from notqmail.queue.bounce import Reporter
from notqmail.queue.conclude import BROKEN
from tests.queue.test_bounce import GONE, Door, entry
from tests.support.clock import EPOCH, virtual_time
from tests.support.queue_world import QueueWorld
from tests.support.stored import routed


class BrokenTransport:
    """A transport with a bug in every method."""

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        raise ZeroDivisionError

    async def lane(self, hop: Hop) -> str:
        raise ZeroDivisionError

    async def close(self) -> None:
        raise ZeroDivisionError


class Silent(Reporter):
    """A reporter with a bug."""

    async def reports(self, entry: Entry, conclusion: object) -> Sequence[Routed]:
        raise ZeroDivisionError


def attempts(world: QueueWorld, reporter: type[Reporter] = Reporter) -> Attempts:
    return Attempts(
        world.store,
        {"smtp": world.wire, "broken": BrokenTransport()},
        reporter(Door(), world.clock, world.journal, "mx.example.org"),
        clock=world.clock,
        journal=world.journal,
        queue=world.queue,
        postmaster=world.router.postmaster,
    )


async def claimed(world: QueueWorld) -> Entry:
    """An entry in the store, leased to us."""
    draft = world.store.draft()
    [entry] = await draft.commit(routed("M1", "bob@example.net"))
    return entry


def going(transport: str) -> Entry:
    of = entry()
    return Entry(of.id, of.message, Hop(transport, "x"), of.born, of.token)


@pytest.mark.parametrize(("transport", "reply"), [("broken", BROKEN), ("no such", NO_TRANSPORT)])
async def test_entry_that_cannot_be_tried_is_delayed(
    transport: str, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = await attempts(QueueWorld()).deliver(going(transport))

    assert [(each.action, each.reply, each.at) for each in outcomes] == [
        (Action.DELAYED, reply, EPOCH)
    ]
    assert f"m=M1 hop={transport}:x" in caplog.text


async def test_recipient_that_a_transport_forgets_is_delayed_at_that_time() -> None:
    class Forgets(BrokenTransport):
        async def deliver(self, entry: Entry) -> Sequence[Outcome]:
            return []

    world = QueueWorld()
    world.wire = Forgets()  # type: ignore[assignment]

    [outcome] = await attempts(world).deliver(going("smtp"))

    assert (outcome.action, outcome.reply, outcome.at) == (Action.DELAYED, BROKEN, EPOCH)


@pytest.mark.parametrize("transport", ["broken", "no such"])
async def test_lane_nobody_can_name_is_the_hop_itself(transport: str) -> None:
    assert await attempts(QueueWorld()).lane(Hop(transport, "x")) == f"{transport}:x"


async def test_bug_of_a_transport_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await attempts(QueueWorld()).deliver(going("broken"))

    assert caplog.records[0].exc_info is not None


async def test_lane_that_a_transport_cannot_name_is_logged_with_its_hop_and_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await attempts(QueueWorld()).lane(Hop("broken", "x"))

    [record] = caplog.records
    assert record.getMessage() == "transport failed to name a lane hop=broken:x"
    assert record.exc_info is not None


async def test_failure_of_which_no_report_can_be_made_is_a_delay() -> None:
    world = QueueWorld()
    of = await claimed(world)

    due, children = await attempts(world, Silent).record(of, [_outcome(of, Action.FAILED)], 0.0)

    [row] = await world.rows()
    assert (due, list(children)) == (EPOCH + 400, [])
    assert row.last_reply.startswith("451 4.3.0")


async def test_success_of_which_no_report_can_be_made_is_a_success() -> None:
    world = QueueWorld()
    of = await claimed(world)

    await attempts(world, Silent).record(of, [_outcome(of, Action.RELAYED)], 0.0)

    assert not await world.rows()


async def test_nothing_expires_while_nobody_can_be_told() -> None:
    world = QueueWorld()
    of = await claimed(world)
    world.clock.advance(9 * 86400)

    due, _ = await attempts(world, Silent).record(of, [_outcome(of, Action.DELAYED)], 0.0)

    assert due is not None
    assert due > world.clock.now()


def _outcome(of: Entry, action: Action) -> Outcome:
    reply = GONE.reply if action is Action.FAILED else Reply(250, "2.0.0", "ok")
    return Outcome(of.recipients[0], action, reply, "mx", EPOCH)


@virtual_time
async def test_settlement_is_tried_until_the_disk_takes_it() -> None:
    world = QueueWorld()
    of = await claimed(world)
    settle, tries = world.store.settle, []
    world.store.settle = _failing(settle, tries, times=8)  # type: ignore[method-assign]

    await attempts(world).record(of, [_outcome(of, Action.RELAYED)], 0.0)

    assert tries == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert not await world.rows()


def _failing(
    settle: Callable[..., Awaitable[Sequence[Entry]]], tries: list[float], times: int
) -> Callable[..., Awaitable[Sequence[Entry]]]:
    """The disk is full for so many calls; `tries` notes when each came."""

    async def failing(*args: object, **kwargs: object) -> Sequence[Entry]:
        tries.append(asyncio.get_running_loop().time())
        if len(tries) <= times:
            raise SpoolError("disk full", full=True)
        return await settle(*args, **kwargs)

    return failing


async def test_result_under_a_stale_token_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    world = QueueWorld()
    of = await claimed(world)
    world.store.restart()
    [again] = await world.store.claim(EPOCH, 1)

    _, children = await attempts(world).record(of, [_outcome(of, Action.RELAYED)], 0.0)

    assert children == ()
    assert again.token > of.token
    assert len(await world.rows()) == 1
    assert "somebody else holds the entry m=M1" in caplog.text


async def test_a_delay_that_nobody_was_told_of_is_told_later() -> None:
    world = QueueWorld()
    of = await claimed(world)
    world.clock.advance(5 * 3600)

    await attempts(world, Silent).record(of, [_outcome(of, Action.DELAYED)], 0.0)

    world.clock.advance(86400)
    [again] = await world.store.claim(world.clock.now(), 1)
    assert not again.delay_told


async def test_a_failure_that_is_put_off_is_told_as_our_own_trouble() -> None:
    world = QueueWorld()
    of = await claimed(world)

    await attempts(world, Silent).record(of, [_outcome(of, Action.FAILED)], 0.0)

    attempt = world.journal.records[-1]
    assert attempt["outcomes"][0]["reply"].startswith("451 4.3.0")
    assert "mta" not in attempt["outcomes"][0]


@pytest.mark.parametrize("action", [Action.DELAYED, Action.FAILED])
async def test_without_any_patience_nothing_is_lost_either_when_nobody_can_be_told(
    action: Action,
) -> None:
    world = QueueWorld(Queue(lifetime=Seconds(0)))
    of = await claimed(world)

    await attempts(world, Silent).record(of, [_outcome(of, action)], 0.0)

    assert [row.state for row in await world.rows()] == ["deferred"]


async def test_what_nobody_could_be_told_of_is_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = QueueWorld()
    of = await claimed(world)

    await attempts(world, Silent).record(of, [_outcome(of, Action.FAILED)], 0.0)

    [record] = caplog.records
    assert record.getMessage() == "no report could be made m=M1"
    assert record.exc_info is not None


@virtual_time
async def test_settlement_that_fails_is_told_with_entry_reason_and_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = QueueWorld()
    of = await claimed(world)
    world.store.settle = _failing(world.store.settle, [], times=2)  # type: ignore[method-assign]

    await attempts(world).record(of, [_outcome(of, Action.RELAYED)], 0.0)

    assert caplog.messages[:2] == [
        "attempt not recorded yet m=M1 error='disk full' again=1s",
        "attempt not recorded yet m=M1 error='disk full' again=2s",
    ]


async def test_attempt_is_recorded_with_its_time() -> None:
    world = QueueWorld()
    of = await claimed(world)
    world.clock.advance(30)

    await attempts(world).record(of, [_outcome(of, Action.RELAYED)], 1.5)

    [record] = world.journal.records
    assert (record["at"], record["seconds"]) == (EPOCH + 30, 1.5)
