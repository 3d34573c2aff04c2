"""Lanes, slots and bounds, without a loop or a store."""

import pytest

from notqmail.config import Queue
from notqmail.mail.address import Address
from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Envelope, Recipient
from notqmail.mail.hop import Hop
from notqmail.mail.message import Message, Octets
from notqmail.mail.reply import Reply
from notqmail.queue.plan import FIRST_PAUSE, INITIAL_WINDOW, LAST_PAUSE, Feedback, Job, Lane, Plan

NOW = 1_800_000_000.0
DOWN = Reply(451, "4.4.1", "no answer")


def entry(destination: str, number: int = 0) -> Entry:
    hop = Hop.of(destination)
    recipient = Recipient(Address("x", "example.net"))
    message = Message(Envelope(None, (recipient,)), Octets(b""))
    return Entry(f"M{number}", message, hop, NOW, 1)


def plan(active: int = 2000, local: int = 100, remote: int = 100, destination: int = 20) -> Plan:
    return Plan(
        Queue(
            active=active,
            local_concurrency=local,
            remote_concurrency=remote,
            destination_concurrency=destination,
        )
    )


def fill(bounds: Plan, destination: str, count: int) -> Lane:
    for number in range(count):
        bounds.add(entry(destination, number))
    return bounds.lane(Hop.of(destination))


def start(bounds: Plan, *, remote: bool = True) -> list[Job]:
    """Start all that may start; provisional lanes become what their name says."""
    pool = bounds.pools[remote]
    jobs = []
    while (job := bounds.next(pool)) is not None:
        if not job.lane.provisional or bounds.join(job, job.entry.hop.nexthop, NOW):
            jobs.append(job)
    return jobs


def per_lane(jobs: list[Job]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for job in jobs:
        counts[job.entry.hop.nexthop] = counts.get(job.entry.hop.nexthop, 0) + 1
    return counts


# -- slots ------------------------------------------------------------------------------------------------------


def test_entry_starts_when_there_is_a_slot() -> None:
    bounds = plan()
    bounds.add(entry("local:a@example.org"))

    [job] = start(bounds, remote=False)

    assert job.entry.id == "M0"
    assert bounds.count == 1


def test_no_more_than_the_slots_run() -> None:
    bounds = plan(local=4)
    for mailbox in "abcdef":
        fill(bounds, f"local:{mailbox}", 1)

    assert len(start(bounds, remote=False)) == 4


def test_pools_have_slots_of_their_own() -> None:
    bounds = plan(local=2, remote=2)
    fill(bounds, "local:a", 5)
    fill(bounds, "local:b", 5)
    fill(bounds, "smtp:c", 5)

    assert len(start(bounds, remote=False)) == 2
    assert len(start(bounds, remote=True)) == 1


def test_no_lane_gets_more_than_half_of_the_slots() -> None:
    bounds = plan(local=20)
    fill(bounds, "local:busy", 50)

    assert len(start(bounds, remote=False)) == 10


def test_single_slot_is_usable() -> None:
    bounds = plan(local=1, remote=1, destination=1)
    fill(bounds, "local:a", 2)
    fill(bounds, "smtp:b", 2)

    assert len(start(bounds, remote=False)) == 1
    assert len(start(bounds)) == 1


def test_lanes_take_turns() -> None:
    bounds = plan(local=6)
    fill(bounds, "local:busy", 50)
    for mailbox in "abc":
        fill(bounds, f"local:{mailbox}", 1)

    assert per_lane(start(bounds, remote=False)) == {"busy": 3, "a": 1, "b": 1, "c": 1}


def test_slot_is_used_again_when_its_job_is_done() -> None:
    bounds = plan(local=2)
    fill(bounds, "local:a", 2)
    [job] = start(bounds, remote=False)

    bounds.done(job, NOW)

    assert [job.entry.id for job in start(bounds, remote=False)] == ["M1"]
    assert bounds.count == 1


# -- lanes ------------------------------------------------------------------------------------------------------


def test_unknown_destination_runs_one_entry_until_it_is_known() -> None:
    bounds = plan()
    fill(bounds, "smtp:a.example", 10)

    job = bounds.next(bounds.pools[1])

    assert job is not None
    assert bounds.next(bounds.pools[1]) is None
    assert bounds.join(job, "mx.example", NOW)
    assert len(start(bounds)) == INITIAL_WINDOW - 1


def test_destinations_with_the_same_servers_share_a_lane() -> None:
    bounds = plan()
    for domain in "abcdefgh":
        fill(bounds, f"smtp:{domain}", 2)

    started = []
    while (job := bounds.next(bounds.pools[1])) is not None:
        if not job.lane.provisional or bounds.join(job, "mx.provider", NOW):
            started.append(job)

    assert len(started) == INITIAL_WINDOW
    assert len({id(job.lane) for job in started}) == 1
    assert bounds.count == 16


def test_job_whose_real_lane_is_full_waits_at_its_head_again() -> None:
    bounds = plan(destination=1)
    bounds.add(entry("smtp:a", 1))
    bounds.add(entry("smtp:b", 2))
    first, second = bounds.next(bounds.pools[1]), bounds.next(bounds.pools[1])
    assert first is not None
    assert second is not None

    assert bounds.join(first, "mx", NOW)
    assert not bounds.join(second, "mx", NOW)
    bounds.done(first, NOW)

    again = bounds.next(bounds.pools[1])
    assert again is not None
    assert again.entry.id == "M2"


def test_idle_lane_is_forgotten() -> None:
    bounds = plan()
    fill(bounds, "smtp:a", 1)
    [job] = start(bounds)

    bounds.done(job, NOW)

    assert bounds.lane(Hop("smtp", "a")) is not job.lane
    assert bounds.count == 0


# -- windows ----------------------------------------------------------------------------------------------------


def lane_of(bounds: Plan, name: str = "a") -> Lane:
    fill(bounds, f"smtp:{name}", 50)
    return start(bounds)[0].lane


def test_window_grows_by_one_for_a_cohort_of_successes() -> None:
    bounds = plan()
    lane = lane_of(bounds)

    for _ in range(INITIAL_WINDOW + 1):
        bounds.feedback(lane, Feedback.ALIVE, NOW)

    assert lane.limit == INITIAL_WINDOW + 1


def test_window_never_grows_beyond_the_limit() -> None:
    bounds = plan(destination=7)
    lane = lane_of(bounds)

    for _ in range(1000):
        bounds.feedback(lane, Feedback.ALIVE, NOW)

    assert lane.limit == 7


def test_window_shrinks_by_one_for_each_failure_to_connect() -> None:
    bounds = plan()
    lane = lane_of(bounds)

    bounds.feedback(lane, Feedback.UNREACHABLE, NOW, DOWN)

    assert lane.limit == INITIAL_WINDOW - 1
    assert not lane.dead(NOW)


def test_what_says_nothing_of_the_destination_changes_nothing() -> None:
    bounds = plan()
    lane = lane_of(bounds)

    bounds.feedback(lane, Feedback.NOTHING, NOW)

    assert lane.limit == INITIAL_WINDOW


def test_local_lanes_do_not_adapt() -> None:
    bounds = plan(local=10)
    lane = fill(bounds, "local:a", 1)

    for _ in range(20):
        bounds.feedback(lane, Feedback.UNREACHABLE, NOW, DOWN)

    assert lane.limit == 5
    assert not lane.dead(NOW)


def kill(bounds: Plan, lane: Lane, now: float = NOW) -> None:
    while not lane.dead(now):
        bounds.feedback(lane, Feedback.UNREACHABLE, now, DOWN)


def test_destination_is_dead_when_its_window_is_gone() -> None:
    bounds = plan()
    lane = lane_of(bounds)

    for _ in range(INITIAL_WINDOW):
        assert not lane.dead(NOW)
        bounds.feedback(lane, Feedback.UNREACHABLE, NOW, DOWN)

    assert lane.dead(NOW)
    assert lane.reason == DOWN
    assert lane.dead_until == NOW + FIRST_PAUSE


def test_failures_that_were_under_way_do_not_prolong_the_pause() -> None:
    bounds = plan()
    lane = lane_of(bounds)
    kill(bounds, lane)

    bounds.feedback(lane, Feedback.UNREACHABLE, NOW + 1, DOWN)

    assert lane.dead_until == NOW + FIRST_PAUSE


def test_after_the_pause_a_single_entry_is_tried() -> None:
    bounds = plan()
    lane = lane_of(bounds)
    kill(bounds, lane)

    assert not lane.dead(lane.dead_until)
    assert lane.limit == 1


def test_pause_doubles_up_to_its_bound_while_it_stays_dead() -> None:
    bounds = plan()
    lane = lane_of(bounds)
    pauses, now = [], NOW
    for _ in range(6):
        kill(bounds, lane, now)
        pauses.append(lane.dead_until - now)
        now = lane.dead_until

    assert pauses == [300, 600, 1200, 2400, 3600, 3600]


def test_success_ends_the_death_and_its_memory() -> None:
    bounds = plan()
    lane = lane_of(bounds)
    kill(bounds, lane)

    bounds.feedback(lane, Feedback.ALIVE, NOW + 1)

    assert not lane.dead(NOW + 1)
    assert lane.pause == FIRST_PAUSE


def test_wall_clock_that_went_back_does_not_keep_a_destination_dead() -> None:
    bounds = plan()
    lane = lane_of(bounds)
    kill(bounds, lane)

    assert not lane.dead(NOW - LAST_PAUSE)


def test_waiting_entries_of_a_dead_lane_leave_the_active_set() -> None:
    bounds = plan()
    lane = lane_of(bounds)

    taken = bounds.take_waiting(lane)

    assert len(taken) == 50 - INITIAL_WINDOW
    assert bounds.count == INITIAL_WINDOW
    assert start(bounds) == []


def test_job_that_joins_a_dead_lane_does_not_run() -> None:
    bounds = plan()
    kill(bounds, lane_of(bounds))
    bounds.add(entry("smtp:b"))
    job = bounds.next(bounds.pools[1])
    assert job is not None

    assert not bounds.join(job, "a", NOW)


def test_dead_lane_is_remembered_for_another_pause_and_then_forgotten() -> None:
    bounds = plan()
    fill(bounds, "smtp:a", 1)
    [job] = start(bounds)
    kill(bounds, job.lane)
    bounds.done(job, NOW)
    end = job.lane.dead_until + job.lane.pause

    bounds.sweep(end - 1)
    assert bounds.lane(Hop("smtp", "a")) is job.lane

    bounds.sweep(end)
    assert bounds.lane(Hop("smtp", "a")) is not job.lane


# -- the active set ---------------------------------------------------------------------------------------------


def test_lane_may_hold_as_many_entries_as_are_free() -> None:
    bounds = plan(active=100)
    count = 0
    while bounds.admits(Hop("smtp", "a")):
        bounds.add(entry("smtp:a", count))
        count += 1

    assert count == 38  # of the 75 that remote mail may use
    assert bounds.admits(Hop("smtp", "b"))


def test_last_quarter_is_kept_for_local_mail() -> None:
    bounds = plan(active=100)
    number = 0
    while bounds.admits(Hop("smtp", f"d{number}")):
        bounds.add(entry(f"smtp:d{number}"))
        number += 1

    assert number == 75
    assert bounds.room() == 0
    assert bounds.admits(Hop("local", "a"))


def test_active_set_never_grows_beyond_its_bound() -> None:
    bounds = plan(active=20)
    for number in range(20):
        assert bounds.admits(Hop("local", f"m{number}"))
        bounds.add(entry(f"local:m{number}"))

    assert not bounds.admits(Hop("local", "another"))


def test_lane_with_its_share_is_skipped_until_it_holds_half() -> None:
    bounds = plan(active=40)  # 30 to be claimed
    fill(bounds, "smtp:a", 16)
    assert bounds.skip() == ["smtp:a"]

    for number in range(8):
        assert not bounds.wanting
        job = bounds.next(bounds.pools[1])
        assert job is not None
        if number == 0:
            bounds.join(job, "a", NOW)
        bounds.done(job, NOW)

    assert bounds.wanting
    assert bounds.skip() == []


def test_more_is_wanted_when_there_is_room_again() -> None:
    bounds = plan(active=20, local=20)
    for number in range(15):
        fill(bounds, f"local:m{number}", 1)
    bounds.want_room(100)
    jobs = start(bounds, remote=False)

    for job in jobs[:6]:
        bounds.done(job, NOW)
    assert not bounds.wanting
    bounds.done(jobs[6], NOW)
    assert bounds.wanting


def test_merged_lane_still_wants_what_its_part_wanted() -> None:
    bounds = plan(active=20)
    fill(bounds, "smtp:big", 9)
    real = start(bounds)[0].lane
    fill(bounds, "smtp:a", 4)
    assert set(bounds.skip()) == {"smtp:big", "smtp:a"}

    job = bounds.next(bounds.pools[1])
    assert job is not None
    bounds.join(job, "big", NOW)

    assert real.resume_at == 4
    assert real.count == 13


def test_entries_of_a_message_can_be_taken_back() -> None:
    bounds = plan(remote=1)
    for number in range(3):
        bounds.add(entry("smtp:a", number))
        bounds.add(entry("smtp:b", number))

    taken = bounds.take_ids(frozenset({"M1"}))

    assert [(e.id, e.hop.nexthop) for e in taken] == [("M1", "a"), ("M1", "b")]
    assert bounds.count == 4


def test_all_that_waits_can_be_taken_back() -> None:
    bounds = plan(local=2)
    fill(bounds, "local:a", 3)
    fill(bounds, "smtp:b", 3)
    running = start(bounds, remote=False)

    assert len(bounds.take_all()) == 5
    assert bounds.count == len(running) == 1


@pytest.mark.parametrize("slots", [1, 2, 3, 7, 100])
def test_nothing_that_can_run_is_left_waiting(slots: int) -> None:
    bounds = plan(local=slots, remote=slots)
    for number in range(slots):
        fill(bounds, f"smtp:d{number}", 3)

    assert len(start(bounds)) == slots


# -- nothing is forgotten, nobody is passed over ------------------------------------------------------------------


def test_what_is_not_taken_out_by_its_id_still_waits() -> None:
    bounds = plan()
    lane = fill(bounds, "local:a@example.org", 4)

    taken = bounds.take_ids(frozenset({"M1", "M3", "M9"}))

    assert [each.id for each in taken] == ["M1", "M3"]
    assert [each.id for each in lane.waiting] == ["M0", "M2"]
    assert bounds.count == 2


def test_a_lane_at_its_limit_does_not_stop_the_lanes_behind_it() -> None:
    bounds = plan(local=4)
    fill(bounds, "local:a@example.org", 1)
    full = fill(bounds, "local:b@example.org", 1)
    fill(bounds, "local:c@example.org", 1)
    full.running = full.limit

    assert [job.entry.hop.nexthop for job in start(bounds, remote=False)] == [
        "a@example.org",
        "c@example.org",
    ]


def test_every_slot_is_freed_once_by_each_that_is_done() -> None:
    bounds = plan(local=10)
    for mailbox in "abc":
        fill(bounds, f"local:{mailbox}@example.org", 1)
    pool = bounds.pools[False]
    jobs = start(bounds, remote=False)

    counts = [pool.running]
    for job in jobs:
        bounds.done(job, NOW)
        counts.append(pool.running)

    assert counts == [3, 2, 1, 0]


def test_a_destination_with_its_share_is_skipped_and_one_with_less_is_not() -> None:
    bounds = plan(active=16)  # 12 may be claimed
    fill(bounds, "local:a@example.org", 4)
    fill(bounds, "local:b@example.org", 3)

    assert bounds.room() == 5
    assert bounds.skip() == []
    fill(bounds, "local:a@example.org", 1)
    assert bounds.room() == 4
    assert bounds.skip() == ["local:a@example.org"]
    assert bounds.admits(Hop.of("local:b@example.org"))


def test_a_destination_may_not_hold_more_than_what_is_left() -> None:
    bounds = plan(active=10)
    for count, admitted in ((4, True), (1, False)):
        fill(bounds, "local:a@example.org", count)
        assert bounds.admits(Hop.of("local:a@example.org")) is admitted


def test_a_dead_lane_takes_no_job_that_joins_it() -> None:
    bounds = plan()
    fill(bounds, "smtp:a.example", 1)
    start(bounds)
    real = bounds.lane(Hop.of("smtp:a.example"))
    real.dead_until = NOW + 60
    bounds.add(entry("smtp:b.example", 7))
    job = bounds.next(bounds.pools[True])
    assert job is not None

    assert not bounds.join(job, "a.example", NOW)
    assert [each.id for each in real.waiting] == ["M7"]
    assert bounds.lane(Hop.of("smtp:b.example")) is real


def test_a_window_that_is_less_than_two_grows_by_its_reciprocal() -> None:
    bounds = plan()
    lane = bounds.lane(Hop.of("smtp:a.example"))
    lane.window = 1.0

    bounds.feedback(lane, Feedback.ALIVE, NOW)

    assert lane.window == 2.0
    assert lane.dead_until == 0.0


def test_a_destination_that_holds_as_much_as_is_left_is_skipped() -> None:
    bounds = plan(active=16)  # 12 may be claimed
    fill(bounds, "local:a@example.org", 6)

    assert bounds.room() == 6
    assert bounds.skip() == ["local:a@example.org"]


def test_a_single_entry_is_its_share_when_nothing_is_left() -> None:
    bounds = plan(active=16)
    for mailbox in range(12):
        fill(bounds, f"local:{mailbox}@example.org", 1)

    assert bounds.room() == 0
    assert len(bounds.skip()) == 12


def test_a_lane_is_offered_once_however_much_waits_in_it() -> None:
    bounds = plan()
    lane = fill(bounds, "local:a@example.org", 5)

    assert list(bounds.pools[False].ring) == [lane]


def test_a_lane_at_its_limit_is_not_offered() -> None:
    bounds = plan()
    lane = bounds.lane(Hop.of("local:a@example.org"))
    lane.running = lane.limit
    fill(bounds, "local:a@example.org", 1)

    assert not bounds.pools[False].ring


def test_of_two_places_a_single_one_is_waited_for() -> None:
    bounds = plan(active=10)  # of which two are kept for local mail
    for mailbox in range(10):
        fill(bounds, f"local:{mailbox}@example.org", 1)
    bounds.want_room(100, remote=False)

    bounds.done(start(bounds, remote=False)[0], NOW)

    assert bounds.wanting


def test_for_local_mail_only_local_destinations_are_skipped() -> None:
    bounds = plan(active=16)
    fill(bounds, "local:a@example.org", 6)
    fill(bounds, "smtp:a.example", 6)

    assert bounds.skip(remote=False) == ["local:a@example.org"]


def wanted(bounds: Plan) -> list[bool]:
    """End all jobs one by one; say after which of them more is wanted."""
    told = []
    for job in start(bounds, remote=False):
        bounds.done(job, NOW)
        told.append(bounds.wanting)
        bounds.wanting = False
    return told


def test_a_lane_that_was_skipped_wants_more_once() -> None:
    bounds = plan(active=16)
    fill(bounds, "local:a@example.org", 8)
    assert bounds.skip() == ["local:a@example.org"]

    assert wanted(bounds) == [False] * 3 + [True] + [False] * 4


def test_room_that_was_waited_for_is_told_once() -> None:
    bounds = plan(active=16)  # 12 may be claimed
    for mailbox in range(12):
        fill(bounds, f"local:{mailbox}@example.org", 1)
    bounds.want_room(3)

    assert wanted(bounds) == [False] * 2 + [True] + [False] * 9


def test_half_of_an_odd_number_of_slots_is_rounded_down() -> None:
    assert [pool.lane_limit for pool in plan(local=7, remote=9).pools] == [3, 4]


def test_job_that_takes_the_last_place_of_its_real_lane_runs() -> None:
    bounds = plan()
    fill(bounds, "smtp:a.example", INITIAL_WINDOW - 1)
    start(bounds)
    bounds.add(entry("smtp:b.example", 7))
    job = bounds.next(bounds.pools[True])
    assert job is not None

    assert bounds.join(job, "a.example", NOW)
