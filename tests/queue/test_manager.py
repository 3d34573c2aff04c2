"""The manager at work, in virtual time: patience, fairness, bounds, and what it does when things break."""

import asyncio
import email
from collections.abc import Callable
from email.message import Message as Parsed
from typing import Any

import pytest

from notqmail.config import Queue, Seconds
from notqmail.mail.entry import Entry, QueueFilter
from notqmail.mail.envelope import Notify, Recipient
from notqmail.mail.errors import SpoolError
from notqmail.mail.hop import Hop
from notqmail.mail.outcome import Action
from notqmail.mail.reply import Reply
from notqmail.queue.manager import HEARTBEAT, PAGE, STORE_PAUSE, Statistics
from notqmail.queue.plan import FIRST_PAUSE, INITIAL_WINDOW
from tests.support.clock import EPOCH, settle_down, virtual_time
from tests.support.queue_world import QueueWorld
from tests.support.transports import (
    ACCEPTED,
    DELIVERED,
    GREYLISTED,
    PASSED,
    REFUSED,
    UNREACHABLE,
    Answer,
)

ALICE = "alice@example.org"
BOB = "bob@example.net"
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
BUSY = Answer(Action.DELAYED, Reply(450, "4.2.1", "try later"))
LOCKED = Answer(Action.DELAYED, Reply(451, "4.3.0", "locked"), mta="")


def times(world: QueueWorld) -> list[int]:
    """When the wire was used, in seconds."""
    return [round(at - EPOCH) for at in world.wire.times]


def reported(world: QueueWorld, to: str = ALICE) -> list[Parsed]:
    """The reports delivered to somebody here."""
    return [email.message_from_bytes(mail) for mail in world.mail_for(to)]


# -- the straight road ------------------------------------------------------------------------------------------


@virtual_time
async def test_message_goes_to_each_recipient_once_and_is_gone() -> None:
    async with QueueWorld() as world:
        id = await world.send("sender@example.com", ALICE, BOB)
        await settle_down()

        assert world.local.delivered == {(id, ALICE): 1}
        assert world.wire.delivered == {(id, BOB): 1}
        assert not await world.rows()
        assert world.manager.statistics == Statistics(0, 0, 0)


@virtual_time
async def test_recipients_of_one_destination_travel_together() -> None:
    async with QueueWorld() as world:
        await world.send(ALICE, BOB, "carol@example.net", "dave@example.com")
        await settle_down()

        assert [len(entry.recipients) for entry in world.wire.attempts] == [2, 1]


@virtual_time
async def test_fresh_message_is_delivered_without_asking_the_store_again() -> None:
    async with QueueWorld() as world:
        await settle_down()
        world.store.claim = _fails  # type: ignore[method-assign]

        await world.send(ALICE, BOB)
        await settle_down()

        assert sum(world.wire.delivered.values()) == 1


@virtual_time
async def test_attempts_are_journalled() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, GREYLISTED, ACCEPTED)
        id = await world.send(ALICE, BOB)
        await asyncio.sleep(HOUR)

        records = [r for r in world.journal.records if r["kind"] == "attempt"]
        assert [(r["id"], r["number"], r.get("next")) for r in records] == [
            (id, 1, EPOCH + 400),
            (id, 2, None),
        ]


# -- patience ---------------------------------------------------------------------------------------------------


@virtual_time
async def test_week_without_an_answer_follows_the_schedule_and_ends_in_a_bounce() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, UNREACHABLE)
        await world.send(ALICE, BOB)
        await asyncio.sleep(8 * DAY)

        assert times(world) == [n * n for n in range(0, 777, 20)] + [7 * 86400]
        assert [r["why"] for r in world.reports()] == ["delay", "failure"]
        assert not await world.rows()


@virtual_time
async def test_expired_message_bounces_with_5_4_7_and_the_last_reply() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, GREYLISTED)
        await world.send(ALICE, BOB)
        await asyncio.sleep(8 * DAY)

        text = reported(world)[-1].as_string()
        assert "Status: 5.4.7" in text
        assert "450 4.7.1 greylisted" in text
        assert "Given up after 7 days" in text


@virtual_time
async def test_delay_is_told_after_four_hours_once() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, GREYLISTED)
        await world.send(ALICE, BOB)

        await asyncio.sleep(4 * HOUR - 1)
        assert reported(world) == []
        await asyncio.sleep(2 * DAY)

        [notice] = reported(world)
        assert notice["Subject"].startswith("Delayed mail")


@virtual_time
async def test_message_that_gets_through_late_is_delivered_once() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, UNREACHABLE, GREYLISTED, BUSY, ACCEPTED)
        id = await world.send(ALICE, BOB)
        await asyncio.sleep(DAY)

        assert times(world) == [0, 400, 1600, 3600]
        assert world.wire.delivered == {(id, BOB): 1}
        assert world.reports() == []


@virtual_time
async def test_each_recipient_of_an_entry_has_a_fate_of_its_own() -> None:
    async with QueueWorld() as world:
        world.wire.say("a@example.net", ACCEPTED)
        world.wire.say("b@example.net", REFUSED)
        world.wire.say("c@example.net", GREYLISTED, ACCEPTED)
        await world.send(ALICE, "a@example.net", "b@example.net", "c@example.net")
        await asyncio.sleep(HOUR)

        assert [len(entry.recipients) for entry in world.wire.attempts] == [3, 1]
        [bounce] = reported(world)
        assert "b@example.net" in bounce.as_string()
        assert not await world.rows()


@virtual_time
async def test_configured_steps_are_followed() -> None:
    async with QueueWorld(Queue(retry=(Seconds(MINUTE), Seconds(HOUR)))) as world:
        world.wire.say(BOB, GREYLISTED)
        await world.send(ALICE, BOB)
        await asyncio.sleep(3 * HOUR)

        assert times(world) == [0, 60, 3660, 7260]


# -- telling ----------------------------------------------------------------------------------------------------


@virtual_time
async def test_bounce_that_bounces_goes_to_the_postmaster_once() -> None:
    async with QueueWorld() as world:
        world.wire.say("example.net", REFUSED)
        await world.send("carol@example.net", BOB)
        await settle_down()

        assert [r["why"] for r in world.reports()] == ["failure", "double bounce"]
        [double] = reported(world, "postmaster@example.org")
        assert double["Subject"].startswith("Double bounce")
        assert not await world.rows()


@virtual_time
async def test_double_bounce_that_fails_is_dropped_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with QueueWorld(postmaster="admin@example.net") as world:
        world.wire.say("example.net", REFUSED)
        await world.send("carol@example.net", BOB)
        await settle_down()

        assert [r["why"] for r in world.reports()] == ["failure", "double bounce"]
        assert "nobody is left to be told" in caplog.text
        assert not await world.rows()


@virtual_time
async def test_double_bounce_finds_the_postmaster_through_an_alias_and_is_still_the_last() -> None:
    aliases = {"postmaster@example.org": ["gone@example.net"]}
    async with QueueWorld(mailboxes=[ALICE], aliases=aliases) as world:
        world.wire.say("example.net", REFUSED)
        await world.send(None, BOB)
        await asyncio.sleep(DAY)

        assert [r["why"] for r in world.reports()] == ["double bounce"]
        assert not await world.rows()


@virtual_time
async def test_bounce_to_a_sender_who_does_not_live_here_is_a_double_bounce() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, REFUSED)
        await world.send("gone@example.org", BOB)
        await settle_down()

        assert [r["why"] for r in world.reports()] == ["failure", "double bounce"]


@virtual_time
async def test_nobody_is_told_of_what_notify_never_forbids() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, REFUSED)
        await world.send(ALICE, BOB, notify=Notify.NEVER)
        await settle_down()

        assert world.reports() == []
        assert not await world.rows()


@virtual_time
async def test_success_is_told_when_asked_for() -> None:
    async with QueueWorld() as world:
        await world.send("sender@example.com", ALICE, notify=Notify.SUCCESS)
        await settle_down()

        [entry] = world.wire.attempts
        assert entry.message.envelope.sender is None
        assert b"Action: delivered" in (entry.message.whole or b"")


@virtual_time
async def test_success_is_left_to_a_next_server_that_reports_it() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, PASSED)
        await world.send(ALICE, BOB, notify=Notify.SUCCESS)
        await settle_down()

        assert world.reports() == []


# -- fairness and bounds ----------------------------------------------------------------------------------------


def bounds(**changes: int) -> Queue:
    return Queue(
        **{"active": 40, "local_concurrency": 4, "remote_concurrency": 8, **changes}  # type: ignore[arg-type]
    )


@virtual_time
async def test_slow_destination_does_not_keep_others_waiting() -> None:
    async with QueueWorld(bounds()) as world:
        world.wire.seconds["slow.example"] = HOUR
        for _ in range(200):
            await world.send(ALICE, "x@slow.example")
        late = await world.send(ALICE, BOB)
        await asyncio.sleep(1)

        assert world.wire.delivered == {(late, BOB): 1}
        assert world.wire.most["slow.example"] == 4


@virtual_time
async def test_many_slow_destinations_do_not_keep_local_mail_waiting() -> None:
    async with QueueWorld(bounds()) as world:
        world.wire.script = lambda entry, recipient: ACCEPTED
        for number in range(200):
            world.wire.seconds[f"slow{number}.example"] = HOUR
            await world.send("sender@example.com", f"x@slow{number}.example")
        id = await world.send("sender@example.com", ALICE)
        await asyncio.sleep(1)

        assert world.local.delivered == {(id, ALICE): 1}


@virtual_time
async def test_destinations_take_turns() -> None:
    async with QueueWorld(bounds(remote_concurrency=2, destination_concurrency=1)) as world:
        for domain in ("a.example", "b.example", "c.example"):
            world.wire.seconds[domain] = 1.0
        for domain in ["a.example"] * 6 + ["b.example"] * 2 + ["c.example"] * 2:
            await world.send(ALICE, f"x@{domain}")
        await asyncio.sleep(4.5)

        served = [entry.hop.nexthop[0] for entry in world.wire.attempts]
        assert served.count("b") == served.count("c") == 2


@virtual_time
async def test_memory_stays_bounded_and_everything_is_delivered_in_the_end() -> None:
    async with QueueWorld(bounds()) as world:
        world.wire.seconds["a.example"] = 5.0
        most = 0
        for _ in range(300):
            await world.send(ALICE, "x@a.example")
            most = max(most, world.manager.statistics.active)
        for _ in range(400):
            await asyncio.sleep(1)
            most = max(most, world.manager.statistics.active)

        assert most <= 40
        assert len(world.wire.delivered) == 300
        assert set(world.wire.delivered.values()) == {1}


@virtual_time
async def test_concurrency_grows_with_success_up_to_its_bound() -> None:
    async with QueueWorld(Queue(destination_concurrency=12)) as world:
        world.wire.seconds["a.example"] = 1.0
        for _ in range(400):
            await world.send(ALICE, "x@a.example")

        await asyncio.sleep(0.5)
        assert world.wire.now["a.example"] == INITIAL_WINDOW
        await asyncio.sleep(60)

        assert world.wire.most["a.example"] == 12


@virtual_time
async def test_domains_of_one_provider_share_its_limit() -> None:
    async with QueueWorld() as world:
        for number in range(60):
            domain = f"d{number}.example"
            world.wire.lanes[domain], world.wire.seconds[domain] = "mx.provider", 10.0
            await world.send(ALICE, f"x@{domain}")
        await asyncio.sleep(5)

        assert world.wire.now["mx.provider"] == INITIAL_WINDOW
        await asyncio.sleep(600)
        assert len(world.wire.delivered) == 60


# -- dead destinations ------------------------------------------------------------------------------------------


@virtual_time
async def test_dead_destination_is_left_alone_after_a_few_failures() -> None:
    async with QueueWorld() as world:
        world.wire.say("example.net", UNREACHABLE)
        world.wire.seconds["example.net"] = 30.0
        for _ in range(100):
            await world.send(ALICE, BOB)
        await asyncio.sleep(FIRST_PAUSE)

        assert len(world.wire.attempts) == INITIAL_WINDOW
        assert len(await world.rows()) == 100


@virtual_time
async def test_dead_destination_is_probed_with_one_entry_and_revives() -> None:
    async with QueueWorld() as world:
        world.wire.say("example.net", *[UNREACHABLE] * (INITIAL_WINDOW + 2), ACCEPTED)
        world.wire.seconds["example.net"] = 1.0
        for _ in range(50):
            await world.send(ALICE, BOB)
        await asyncio.sleep(FIRST_PAUSE + 10)
        assert len(world.wire.attempts) == INITIAL_WINDOW + 1
        await asyncio.sleep(3 * HOUR)

        assert len(world.wire.delivered) == 50


@virtual_time
async def test_entries_of_a_dead_destination_that_were_not_tried_have_not_been_attempted() -> None:
    async with QueueWorld() as world:
        world.wire.say("example.net", UNREACHABLE)
        world.wire.seconds["example.net"] = 1.0
        for _ in range(20):
            await world.send(ALICE, BOB)
        await asyncio.sleep(2)

        assert sorted(row.attempts for row in await world.rows()) == [0] * 15 + [1] * 5


@virtual_time
async def test_entries_of_a_dead_destination_still_get_their_notice_and_their_bounce() -> None:
    async with QueueWorld() as world:
        world.wire.say("example.net", UNREACHABLE)
        for _ in range(60):
            await world.send(ALICE, BOB)
        await asyncio.sleep(4 * HOUR + 1)
        assert len(world.reports("delay")) == 60
        await asyncio.sleep(7 * DAY - 4 * HOUR)

        assert len(world.reports("failure")) == 60
        assert not await world.rows()


@virtual_time
async def test_thousands_for_a_dead_destination_do_not_hide_another_one() -> None:
    async with QueueWorld(bounds()) as world:
        world.wire.say("dead.example", UNREACHABLE)
        for _ in range(500):
            await world.send(ALICE, "x@dead.example")
        world.wire.say(BOB, GREYLISTED, ACCEPTED)
        await world.send(ALICE, BOB)
        await asyncio.sleep(401)

        assert len(world.wire.delivered) == 1


# -- when things break ------------------------------------------------------------------------------------------


async def _fails(*args: Any, **kwargs: Any) -> Any:
    raise SpoolError("disk failure")


@virtual_time
async def test_transport_with_a_bug_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def bug(entry: Entry, recipient: Recipient) -> Answer:
        raise ZeroDivisionError

    async with QueueWorld() as world:
        world.wire.script = bug
        id = await world.send(ALICE, BOB)
        await settle_down()
        world.wire.script = None
        await asyncio.sleep(HOUR)

        assert "ZeroDivisionError" in caplog.text
        assert world.wire.delivered == {(id, BOB): 1}


@virtual_time
async def test_full_disk_at_settle_delivers_nothing_twice() -> None:
    async with QueueWorld() as world:
        settle, world.store.settle = world.store.settle, _fails  # type: ignore[method-assign]
        ids = [await world.send(ALICE, BOB) for _ in range(20)]
        await asyncio.sleep(10 * MINUTE)
        assert len(world.wire.attempts) == INITIAL_WINDOW  # each holds its slot
        world.store.settle = settle  # type: ignore[method-assign]
        await asyncio.sleep(HOUR)

        assert world.wire.delivered == {(id, BOB): 1 for id in ids}
        assert not await world.rows()


@pytest.mark.parametrize("broken", ["claim", "next_due", "release"])
@pytest.mark.parametrize("error", [SpoolError, ZeroDivisionError])
@virtual_time
async def test_store_that_fails_for_a_while_is_asked_again(
    broken: str, error: type[Exception]
) -> None:
    async def fails(*args: Any, **kwargs: Any) -> Any:
        raise error("broken")

    async with QueueWorld(bounds()) as world:
        works = getattr(world.store, broken)
        world.wire.say("example.net", GREYLISTED, ACCEPTED)
        setattr(world.store, broken, fails)
        for _ in range(60):
            await world.send(ALICE, BOB)
        await asyncio.sleep(2 * STORE_PAUSE)
        setattr(world.store, broken, works)
        await asyncio.sleep(DAY)

        assert len(world.wire.delivered) == 60
        assert not await world.rows()


@virtual_time
async def test_store_with_a_bug_at_settle_leaves_the_entry_leased_and_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def bug(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError

    async with QueueWorld() as world:
        settle, world.store.settle = world.store.settle, bug  # type: ignore[method-assign]
        id = await world.send(ALICE, BOB)
        await settle_down()
        world.store.settle = settle  # type: ignore[method-assign]
        other = await world.send(ALICE, BOB)
        await settle_down()

        assert [row.state for row in await world.rows()] == ["active"]
        assert world.wire.delivered[other, BOB] == 1
        assert "entry stays leased until the next start m=" in caplog.text
        assert id in caplog.text


@virtual_time
async def test_claims_that_others_took_since_are_let_go(caplog: pytest.LogCaptureFixture) -> None:
    async with QueueWorld(bounds()) as world:
        world.wire.seconds["example.net"] = MINUTE
        for _ in range(60):
            await world.send(ALICE, BOB)
        world.store.restart()

    assert "released late" in caplog.text


# -- time -------------------------------------------------------------------------------------------------------


@virtual_time
async def test_wall_clock_set_forward_is_noticed_within_a_heartbeat() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, GREYLISTED)
        await world.send(ALICE, BOB)
        await asyncio.sleep(5000)  # the next attempt is due at 6400
        world.clock.jump(DAY)
        await asyncio.sleep(HEARTBEAT)

        assert len(world.wire.attempts) == 5


@virtual_time
async def test_wall_clock_set_back_delays_an_attempt_and_does_not_repeat_it() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, GREYLISTED, ACCEPTED)
        await world.send(ALICE, BOB)
        await settle_down()
        world.clock.jump(-HOUR)
        await asyncio.sleep(HOUR)
        assert len(world.wire.attempts) == 1
        await asyncio.sleep(HOUR)

        assert len(world.wire.attempts) == 2


@virtual_time
async def test_nudge_finds_what_somebody_made_due() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, GREYLISTED, ACCEPTED)
        id = await world.send(ALICE, BOB)
        await settle_down()
        await world.store.edit(QueueFilter(id=id), "retry", world.clock.now())
        world.manager.nudge()
        await settle_down()

        assert world.wire.delivered == {(id, BOB): 1}


@virtual_time
async def test_idle_manager_sleeps() -> None:
    async with QueueWorld() as world:
        await settle_down()
        claims: list[float] = []
        _count_claims(world, claims)

        await asyncio.sleep(30 * DAY)

        assert claims == []


@virtual_time
async def test_waiting_manager_looks_no_more_often_than_its_heartbeat() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, GREYLISTED)
        await world.send(ALICE, BOB)
        await asyncio.sleep(5 * DAY)
        claims: list[float] = []
        _count_claims(world, claims)
        await asyncio.sleep(DAY)

        assert 0 < len(claims) <= DAY / HEARTBEAT + 10


def _count_claims(world: QueueWorld, claims: list[float]) -> None:
    claim: Callable[..., Any] = world.store.claim

    async def counted(now: float, *args: Any) -> Any:
        claims.append(now)
        return await claim(now, *args)

    world.store.claim = counted  # type: ignore[method-assign]


# -- start and stop ---------------------------------------------------------------------------------------------


@virtual_time
async def test_start_takes_up_what_is_due() -> None:
    world = QueueWorld(bounds())
    world.intake.on_entries = None
    for _ in range(250):
        await world.send(ALICE, BOB)
    world.store.restart()
    async with world:
        await asyncio.sleep(1)

        assert len(world.wire.delivered) == 250
        assert all(entry.recovered for entry in world.wire.attempts)


@virtual_time
async def test_stop_waits_for_attempts_that_end_in_time() -> None:
    async with QueueWorld() as world:
        world.wire.seconds["example.net"] = 10.0
        id = await world.send(ALICE, BOB)
        await asyncio.sleep(1)

        await world.manager.stop(30.0)

        assert world.wire.delivered == {(id, BOB): 1}
        assert not await world.rows()


@virtual_time
async def test_stop_gives_back_what_waits_and_leaves_leased_what_it_cuts_short(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with QueueWorld() as world:
        world.wire.seconds["example.net"] = HOUR
        for _ in range(INITIAL_WINDOW + 3):
            await world.send(ALICE, BOB)
        await asyncio.sleep(1)

        await world.manager.stop(5.0)

        states = [row.state for row in await world.rows()]
        assert states.count("active") == INITIAL_WINDOW
        assert states.count("due") == 3
        assert f"attempts cut short at the stop count={INITIAL_WINDOW}" in caplog.text


@virtual_time
async def test_stop_cuts_short_even_the_question_what_a_destination_is() -> None:
    async with QueueWorld() as world:

        async def never(hop: object) -> str:
            await asyncio.sleep(DAY)
            return ""

        world.manager._attempts.lane = never  # type: ignore[method-assign]
        await world.send(ALICE, BOB)
        await settle_down()

        await world.manager.stop(1.0)

        assert world.manager.statistics == Statistics(0, 0, 0)


@virtual_time
async def test_mail_that_comes_during_the_stop_stays_in_the_store() -> None:
    async with QueueWorld() as world:
        world.wire.seconds["example.net"] = 10.0
        await world.send(ALICE, BOB)
        await settle_down()
        stopping = asyncio.create_task(world.manager.stop(30.0))
        await asyncio.sleep(1)
        await world.send(ALICE, BOB)
        await stopping

        [row] = await world.rows()
        assert row.state == "due"
        assert len(world.wire.attempts) == 1


@virtual_time
async def test_stop_with_a_broken_store_ends_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with QueueWorld() as world:
        world.wire.seconds["example.net"] = HOUR
        for _ in range(INITIAL_WINDOW + 1):
            await world.send(ALICE, BOB)
        await settle_down()
        world.store.release = _fails  # type: ignore[method-assign]

        await world.manager.stop(1.0)

        assert "entries stay leased until the next start error='disk failure'" in caplog.text


@virtual_time
async def test_stopped_manager_sets_no_timer() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, GREYLISTED)
        world.wire.seconds["example.net"] = 1.0
        await world.send(ALICE, BOB)
        await settle_down()
        await world.manager.stop(30.0)
        await asyncio.sleep(DAY)

        assert len(world.wire.attempts) == 1


@virtual_time
async def test_claim_that_comes_back_during_the_stop_is_released() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, GREYLISTED)
        await world.send(ALICE, BOB)
        await settle_down()
        claim = world.store.claim

        async def slow(*args: Any) -> Any:
            found = await claim(*args)
            await asyncio.sleep(5)
            return found

        world.store.claim = slow  # type: ignore[method-assign]
        await asyncio.sleep(402)
        await world.manager.stop(30.0)

        [row] = await world.rows()
        assert row.state == "due"


@virtual_time
async def test_destination_found_to_be_a_dead_one_is_not_tried() -> None:
    async with QueueWorld() as world:
        world.wire.say("example.net", UNREACHABLE)
        world.wire.seconds["example.net"] = 1.0
        world.wire.lanes = {"example.net": "mx.provider", "other.example": "mx.provider"}
        for _ in range(INITIAL_WINDOW):
            await world.send(ALICE, BOB)
        await asyncio.sleep(10)
        await world.send(ALICE, "x@other.example")
        await settle_down()

        assert {entry.hop.nexthop for entry in world.wire.attempts} == {"example.net"}
        assert (await world.rows(domain="other.example"))[0].due >= EPOCH + FIRST_PAUSE


@virtual_time
async def test_what_waits_in_memory_can_be_had_back() -> None:
    async with QueueWorld() as world:
        world.wire.seconds["example.net"] = HOUR
        ids = [await world.send(ALICE, BOB) for _ in range(INITIAL_WINDOW + 1)]
        await settle_down()

        await world.manager.let_go(frozenset(ids))

        states = {row.id: row.state for row in await world.rows()}
        assert [states[id] for id in ids] == ["active"] * INITIAL_WINDOW + ["due"]


@virtual_time
async def test_message_to_nobody_here_is_told_without_any_transport() -> None:
    async with QueueWorld() as world:
        await world.send(ALICE, "gone@example.org")
        await settle_down()

        [bounce] = reported(world)
        assert "Status: 5.1.1" in bounce.as_string()
        assert world.wire.attempts == []


@virtual_time
async def test_locked_mailbox_is_tried_again_and_nobody_else_waits() -> None:
    async with QueueWorld() as world:
        world.local.say(ALICE, LOCKED, DELIVERED)
        await world.send("sender@example.com", ALICE)
        await world.send("sender@example.com", "postmaster@example.org")
        await asyncio.sleep(101)

        assert [str(e.recipients[0].address) for e in world.local.attempts] == [
            ALICE,
            "postmaster@example.org",
            ALICE,
        ]


@virtual_time
async def test_local_mail_from_the_store_does_not_wait_for_slow_remote_servers() -> None:
    queue = Queue(active=8, remote_concurrency=20, local_concurrency=1)
    mailboxes = [f"u{n}@example.org" for n in range(9)]
    async with QueueWorld(queue, mailboxes=mailboxes) as world:
        for n in range(12):  # six of them fill what remote mail may have of memory
            world.wire.seconds[f"d{n}.example"] = 5000.0
            await world.send("alice@example.org", f"bob@d{n}.example")
        world.local.seconds["example.org"] = 1.0

        sent = [await world.send("bob@example.net", mailbox) for mailbox in mailboxes]
        await asyncio.sleep(len(mailboxes) + 1)

        assert all(world.local.delivered[id, m] for id, m in zip(sent, mailboxes, strict=True))


@virtual_time
async def test_local_mail_that_was_put_off_comes_in_time_beside_slow_remote_servers() -> None:
    queue = Queue(active=8, remote_concurrency=20)
    async with QueueWorld(queue) as world:
        world.local.say("alice@example.org", GREYLISTED, DELIVERED)
        id = await world.send("bob@example.net", "alice@example.org")
        await asyncio.sleep(1)
        due = (await world.rows())[0].due
        for n in range(12):
            world.wire.seconds[f"d{n}.example"] = 5000.0
            await world.send("alice@example.org", f"bob@d{n}.example")

        await asyncio.sleep(due - world.clock.now() + 1)

        assert world.local.delivered[id, "alice@example.org"] == 1


@virtual_time
async def test_what_is_due_later_does_not_put_off_what_is_due_first() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, GREYLISTED, ACCEPTED)
        world.wire.say("carol@example.com", GREYLISTED, ACCEPTED)
        await world.send(ALICE, BOB)
        await asyncio.sleep(100)
        await world.send(ALICE, "carol@example.com")
        await asyncio.sleep(HOUR)

        assert times(world) == [0, 100, 400, 500]


@virtual_time
async def test_what_is_told_without_an_attempt_took_no_time() -> None:
    async with QueueWorld() as world:
        world.wire.say("example.net", UNREACHABLE)
        for _ in range(60):
            await world.send(ALICE, BOB)
        await asyncio.sleep(4 * HOUR + 1)

        attempts = [r for r in world.journal.records if r["kind"] == "attempt"]
        assert len(attempts) > len(world.wire.attempts)
        assert {r["seconds"] for r in attempts} == {0.0}


@virtual_time
async def test_what_is_told_without_an_attempt_is_told_with_time_and_reason() -> None:
    async with QueueWorld() as world:
        world.wire.say("example.net", UNREACHABLE)
        for _ in range(60):
            await world.send(ALICE, BOB)
        await asyncio.sleep(4 * HOUR + 1)

        notices = [notice.as_string() for notice in reported(world)]
        assert len(notices) == 60
        assert all("Last-Attempt-Date: Fri, 15 Jan 2027" in notice for notice in notices)
        assert all("451 4.4.1 no answer" in notice for notice in notices)


@virtual_time
async def test_stop_gives_back_what_comes_back_from_asking_what_a_destination_is() -> None:
    async with QueueWorld() as world:
        world.wire.seconds["example.net"] = 10.0

        async def provider(hop: Hop) -> str:
            await asyncio.sleep(2 if hop.nexthop == "other.example" else 0)
            return "mx.provider"

        world.manager._attempts.lane = provider  # type: ignore[method-assign]
        for _ in range(INITIAL_WINDOW):
            await world.send(ALICE, BOB)
        other = await world.send(ALICE, "x@other.example")
        await asyncio.sleep(1)

        await world.manager.stop(30.0)

        assert [(row.id, row.state) for row in await world.rows()] == [(other, "due")]
        assert len(world.wire.attempts) == INITIAL_WINDOW


@virtual_time
async def test_nothing_is_logged_where_nothing_breaks(caplog: pytest.LogCaptureFixture) -> None:
    async with QueueWorld() as world:
        await world.send("sender@example.com", ALICE, BOB)
        await asyncio.sleep(1)

    assert caplog.records == []


@virtual_time
async def test_attempt_is_recorded_with_the_time_it_took() -> None:
    async with QueueWorld() as world:
        world.wire.seconds["example.net"] = 10.0
        await asyncio.sleep(100)
        await world.send(ALICE, BOB)
        await asyncio.sleep(11)

        [record] = [r for r in world.journal.records if r["kind"] == "attempt"]
        assert record["seconds"] == 10.0


@pytest.mark.parametrize("error", [SpoolError, ZeroDivisionError])
@virtual_time
async def test_store_that_fails_is_asked_again_after_a_pause(
    error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    async with QueueWorld() as world:
        await settle_down()
        asked: list[float] = []

        async def fails(now: float, *args: Any) -> Any:
            asked.append(now - EPOCH)
            raise error("disk failure")

        world.store.claim = fails  # type: ignore[method-assign]
        world.manager.nudge()
        await asyncio.sleep(3.5 * STORE_PAUSE)

        assert asked == [0, STORE_PAUSE, 2 * STORE_PAUSE, 3 * STORE_PAUSE]
        told = "queue cannot be read error='disk failure'"
        assert caplog.messages[0] == (told if error is SpoolError else "queue pass failed")


@virtual_time
async def test_last_free_place_is_filled_from_the_store() -> None:
    async with QueueWorld(
        Queue(active=10, remote_concurrency=20)
    ) as world:  # eight for remote mail
        world.wire.say(BOB, GREYLISTED, ACCEPTED)
        id = await world.send(ALICE, BOB)
        await asyncio.sleep(1)
        for n in range(7):
            world.wire.seconds[f"d{n}.example"] = HOUR
            await world.send(ALICE, f"x@d{n}.example")
        await asyncio.sleep(400)

        assert world.wire.delivered == {(id, BOB): 1}


@virtual_time
async def test_local_mail_is_claimed_again_each_time_half_its_places_are_free() -> None:
    mailboxes = [f"u{n}@example.org" for n in range(25)]
    async with QueueWorld(Queue(active=40, remote_concurrency=50), mailboxes=mailboxes) as world:
        for n in range(30):  # all that remote mail may have of memory
            world.wire.seconds[f"d{n}.example"] = HOUR
            await world.send(ALICE, f"x@d{n}.example")
        world.local.seconds["example.org"] = 1.0
        for mailbox in mailboxes:
            await world.send("sender@example.com", mailbox)
        await asyncio.sleep(3.5)

        assert len(world.local.delivered) == 25


@virtual_time
async def test_store_is_not_asked_for_more_after_there_was_room_again() -> None:
    async with QueueWorld(bounds()) as world:
        world.wire.seconds["example.net"] = 1.0
        for _ in range(60):
            await world.send(ALICE, BOB)
        await asyncio.sleep(MINUTE)
        claims: list[float] = []
        _count_claims(world, claims)

        await world.send(ALICE, BOB)
        await asyncio.sleep(10)

        assert len(world.wire.delivered) == 61
        assert claims == []


@virtual_time
async def test_all_that_is_due_is_taken_up_at_once_page_by_page() -> None:
    world = QueueWorld()
    world.intake.on_entries = None
    world.wire.seconds["example.net"] = HOUR
    for _ in range(2 * PAGE + 1):
        await world.send(ALICE, BOB)
    world.store.restart()
    async with world:
        await settle_down()

        assert world.manager.statistics.active == 2 * PAGE + 1


@virtual_time
async def test_remote_mail_without_a_place_is_not_asked_for_until_there_is_one() -> None:
    async with QueueWorld(Queue(active=40, remote_concurrency=50)) as world:
        for n in range(40):  # ten more than remote mail may have of memory
            world.wire.seconds[f"d{n}.example"] = HOUR
            await world.send(ALICE, f"x@d{n}.example")
        await asyncio.sleep(1)
        claims: list[float] = []
        _count_claims(world, claims)

        await asyncio.sleep(10 * MINUTE)

        assert claims == []
