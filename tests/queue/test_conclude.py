"""What follows from an attempt."""

from dataclasses import replace

import pytest

from notqmail.config import Queue, Seconds
from notqmail.mail.address import Address
from notqmail.mail.dsn import Kind
from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Envelope, Notify, Recipient
from notqmail.mail.hop import Hop
from notqmail.mail.message import Message, Octets
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply
from notqmail.queue.conclude import (
    BROKEN,
    Conclusion,
    complete,
    conclude,
    delayed,
    feedback_of,
    must_tell,
    next_telling,
    put_off,
)
from notqmail.queue.plan import Feedback

BORN = 1_800_000_000.0
HOUR, DAY = 3600.0, 86400.0
POSTMASTER = Address("postmaster", "example.org")
SENDER = Address("alice", "example.org")
BUSY = Reply(450, "4.2.1", "busy")
GONE = Reply(550, "5.1.1", "gone")
OK = Reply(250, "2.0.0", "ok")


def recipient(name: str = "bob", notify: Notify | None = None) -> Recipient:
    return Recipient(Address(name, "example.net"), notify)


def entry(*recipients: Recipient, sender: Address | None = SENDER, told: bool = False) -> Entry:
    message = Message(Envelope(sender, recipients or (recipient(),)), Octets(b""))
    return Entry("M", message, Hop("smtp", "example.net"), BORN, 1, delay_told=told)


def outcomes(of: Entry, action: Action, reply: Reply = BUSY, mta: str = "mx") -> list[Outcome]:
    return [Outcome(each, action, reply, mta, BORN) for each in of.recipients]


def after(
    of: Entry, action: Action, age: float, reply: Reply = BUSY, queue: Queue | None = None
) -> Conclusion:
    return conclude(of, outcomes(of, action, reply), BORN + age, queue or Queue(), POSTMASTER)


def told(conclusion: Conclusion) -> list[tuple[Kind, str]]:
    return [(notice.kind, str(notice.to.address)) for notice in conclusion.notices]


# -- patience ---------------------------------------------------------------------------------------------------


def test_delayed_recipient_is_due_again_and_nobody_is_told_yet() -> None:
    conclusion = after(entry(), Action.DELAYED, 0)

    assert conclusion.next_due == BORN + 400
    assert conclusion.notices == ()
    assert not conclusion.delay_told


def test_local_delivery_is_tried_again_sooner() -> None:
    local = replace(entry(), hop=Hop("local", "bob@example.net"))

    assert after(local, Action.DELAYED, 0).next_due == BORN + 100


def test_configured_steps_count_attempts() -> None:
    third = replace(entry(), attempts=2)
    queue = Queue(retry=(Seconds(60), Seconds(120), Seconds(600)))

    assert after(third, Action.DELAYED, 1000, queue=queue).next_due == BORN + 1600


def test_finished_entry_is_not_due() -> None:
    assert after(entry(), Action.RELAYED, 0, OK).next_due is None


def test_what_is_delayed_at_the_end_of_the_lifetime_has_failed_for_the_reason_it_was_delayed() -> (
    None
):
    conclusion = after(entry(), Action.DELAYED, 7 * DAY)

    assert [outcome.action for outcome in conclusion.outcomes] == [Action.FAILED]
    assert conclusion.outcomes[0].reply == BUSY
    assert conclusion.next_due is None
    assert told(conclusion) == [(Kind.FAILURE, "alice@example.org")]


def test_last_attempt_may_still_succeed() -> None:
    assert after(entry(), Action.RELAYED, 8 * DAY, OK).outcomes[0].action is Action.RELAYED


def test_bounce_has_less_patience() -> None:
    assert after(entry(sender=None), Action.DELAYED, 2 * DAY - 1).next_due == BORN + 2 * DAY
    assert after(entry(sender=None), Action.DELAYED, 2 * DAY).next_due is None


# -- telling (RFC 3461 §5.2) ------------------------------------------------------------------------------------

NEVER, SUCCESS, FAILURE, DELAY = Notify.NEVER, Notify.SUCCESS, Notify.FAILURE, Notify.DELAY


@pytest.mark.parametrize(
    ("notify", "action", "kinds"),
    [
        (None, Action.FAILED, [Kind.FAILURE]),
        (None, Action.DELAYED, [Kind.DELAY]),
        (None, Action.DELIVERED, []),
        (NEVER, Action.FAILED, []),
        (NEVER, Action.DELAYED, []),
        (NEVER, Action.DELIVERED, []),
        (SUCCESS, Action.FAILED, []),
        (SUCCESS, Action.DELIVERED, [Kind.SUCCESS]),
        (SUCCESS, Action.RELAYED, [Kind.SUCCESS]),
        (SUCCESS, Action.EXPANDED, [Kind.SUCCESS]),
        (SUCCESS, Action.DELAYED, []),
        (FAILURE, Action.FAILED, [Kind.FAILURE]),
        (FAILURE, Action.DELAYED, []),
        (DELAY, Action.DELAYED, [Kind.DELAY]),
        (DELAY, Action.FAILED, []),
        (SUCCESS | FAILURE | DELAY, Action.RELAYED, [Kind.SUCCESS]),
    ],
)
def test_notify_decides_what_is_told(
    notify: Notify | None, action: Action, kinds: list[Kind]
) -> None:
    conclusion = after(entry(recipient(notify=notify)), action, 5 * HOUR)

    assert [kind for kind, _ in told(conclusion)] == kinds


def test_success_is_not_told_when_the_next_server_took_over_that_duty() -> None:
    of = entry(recipient(notify=SUCCESS))
    passed = [replace(outcomes(of, Action.RELAYED, OK)[0], dsn_passed=True)]

    assert conclude(of, passed, BORN, Queue(), POSTMASTER).notices == ()


def test_recipients_with_different_ends_are_told_of_in_different_reports() -> None:
    of = entry(recipient("a"), recipient("b", SUCCESS), recipient("c", NEVER), recipient("d"))
    mixed = [
        Outcome(each, action, OK)
        for each, action in zip(
            of.recipients,
            [Action.FAILED, Action.RELAYED, Action.FAILED, Action.FAILED],
            strict=True,
        )
    ]

    notices = conclude(of, mixed, BORN, Queue(), POSTMASTER).notices

    assert {n.kind: [o.recipient.address.local for o in n.outcomes] for n in notices} == {
        Kind.FAILURE: ["a", "d"],
        Kind.SUCCESS: ["b"],
    }


def test_delay_is_told_once() -> None:
    early, due = (
        after(entry(), Action.DELAYED, 4 * HOUR - 1),
        after(entry(), Action.DELAYED, 4 * HOUR),
    )
    again = after(entry(told=True), Action.DELAYED, 9 * HOUR)

    assert [early.delay_told, due.delay_told, again.delay_told] == [False, True, False]
    assert [told(early), told(again)] == [[], []]


def test_attempt_is_made_when_the_delay_is_to_be_told() -> None:
    daily = Queue(retry=(Seconds(DAY),))

    assert after(entry(), Action.DELAYED, 0, queue=daily).next_due == BORN + 4 * HOUR
    assert after(entry(), Action.DELAYED, 4 * HOUR, queue=daily).next_due == BORN + 28 * HOUR


def test_delay_nobody_wants_to_hear_of_counts_as_told() -> None:
    assert after(entry(recipient(notify=NEVER)), Action.DELAYED, 4 * HOUR).delay_told


def test_delay_notice_can_be_switched_off() -> None:
    assert after(entry(), Action.DELAYED, DAY, queue=Queue(delay_notice=Seconds(0))).notices == ()


# -- the null sender --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [Action.DELAYED, Action.DELIVERED, Action.RELAYED])
def test_null_sender_is_told_nothing(action: Action) -> None:
    of = entry(recipient(notify=SUCCESS | DELAY), sender=None)

    assert after(of, action, DAY).notices == ()


def test_failed_bounce_goes_to_the_postmaster() -> None:
    conclusion = after(entry(sender=None), Action.FAILED, 0, GONE)

    [notice] = conclusion.notices
    assert notice.kind is Kind.DOUBLE
    assert notice.to == Recipient(POSTMASTER, Notify.NEVER)
    assert conclusion.dropped == ()


def test_failed_double_bounce_is_dropped() -> None:
    double = entry(Recipient(POSTMASTER, Notify.NEVER), sender=None)

    conclusion = after(double, Action.FAILED, 0, GONE)

    assert conclusion.notices == ()
    assert [outcome.recipient.address for outcome in conclusion.dropped] == [POSTMASTER]


# -- time without attempts --------------------------------------------------------------------------------------


def test_something_must_be_told_at_the_delay_notice_and_at_the_end() -> None:
    fresh, told_already, bounce = entry(), entry(told=True), entry(sender=None)

    assert next_telling(fresh, Queue()) == BORN + 4 * HOUR
    assert next_telling(told_already, Queue()) == BORN + 7 * DAY
    assert next_telling(bounce, Queue()) == BORN + 2 * DAY
    assert must_tell(fresh, BORN + 4 * HOUR, Queue())
    assert not must_tell(fresh, BORN + 4 * HOUR - 1, Queue())


# -- outcomes ---------------------------------------------------------------------------------------------------


def test_outcomes_in_order_are_taken_as_they_are() -> None:
    of = entry(recipient("a"), recipient("b"))
    said = outcomes(of, Action.RELAYED, OK)

    assert complete(of, said, BORN) == tuple(said)


def test_forgotten_recipient_is_tried_again() -> None:
    of = entry(recipient("a"), recipient("b"))
    said = outcomes(of, Action.RELAYED, OK)

    first, second = complete(of, said[1:], BORN)

    assert (first.action, first.reply) == (Action.DELAYED, BROKEN)
    assert second == said[1]


def test_outcomes_in_another_order_are_put_in_order() -> None:
    of = entry(recipient("a"), recipient("b"))
    said = outcomes(of, Action.RELAYED, OK)

    assert complete(of, said[::-1], BORN) == tuple(said)


@pytest.mark.parametrize(
    ("replies", "feedback"),
    [
        ([Reply(451, "4.4.1", "no answer")], Feedback.UNREACHABLE),
        ([Reply(421, "4.3.2", "closing")], Feedback.UNREACHABLE),
        ([Reply(451, "4.4.3", "no DNS"), Reply(451, "4.4.1", "no answer")], Feedback.UNREACHABLE),
        ([Reply(450, "4.7.1", "greylisted")], Feedback.ALIVE),
        ([Reply(451, "4.4.1", "no answer"), Reply(450, "4.2.2", "full")], Feedback.ALIVE),
    ],
)
def test_only_what_concerns_the_whole_destination_counts_against_it(
    replies: list[Reply], feedback: Feedback
) -> None:
    of = entry(*(recipient(str(n)) for n in range(len(replies))))
    said = [
        Outcome(each, Action.DELAYED, reply, "mx")
        for each, reply in zip(of.recipients, replies, strict=True)
    ]

    assert feedback_of(said) is feedback


def test_success_and_refusal_show_that_a_destination_lives() -> None:
    assert feedback_of(outcomes(entry(), Action.RELAYED, OK, "")) is Feedback.ALIVE
    assert feedback_of(outcomes(entry(), Action.FAILED, GONE, "mx")) is Feedback.ALIVE


def test_failure_that_nobody_spoke_of_says_nothing() -> None:
    assert feedback_of(outcomes(entry(), Action.FAILED, GONE, "")) is Feedback.NOTHING
    assert feedback_of(delayed(entry(), BROKEN, BORN)) is Feedback.NOTHING


# -- nothing is lost among several recipients ---------------------------------------------------------------------


def test_a_failure_is_told_behind_a_delay_that_is_not() -> None:
    of = entry(recipient("bob"), recipient("carol"))
    waiting, failed = (
        Outcome(of.recipients[0], Action.DELAYED, BUSY, "mx", BORN),
        Outcome(of.recipients[1], Action.FAILED, GONE, "mx", BORN),
    )

    conclusion = conclude(of, [waiting, failed], BORN, Queue(), POSTMASTER)

    [notice] = conclusion.notices
    assert (notice.kind, notice.to, notice.outcomes) == (
        Kind.FAILURE,
        Recipient(SENDER),
        (failed,),
    )
    assert conclusion.next_due == BORN + 400


def test_a_double_bounce_tells_what_failed_and_asks_for_no_report() -> None:
    of = entry(sender=None)
    [failed] = outcomes(of, Action.FAILED, GONE)

    [notice] = conclude(of, [failed], BORN, Queue(), POSTMASTER).notices

    assert notice.outcomes == (failed,)
    assert notice.to == Recipient(POSTMASTER, Notify.NEVER)


def test_after_the_delay_was_told_the_schedule_counts_again() -> None:
    ago = 4 * HOUR

    for told_before in (False, True):
        conclusion = after(entry(told=told_before), Action.DELAYED, ago)
        assert conclusion.next_due == BORN + 140**2


def test_a_forgotten_recipient_is_delayed_by_our_own_fault_now() -> None:
    of = entry(recipient("bob"), recipient("carol"))
    [_, carol] = outcomes(of, Action.RELAYED, OK)

    bob, last = complete(of, [carol], BORN + 5)

    assert bob == Outcome(of.recipients[0], Action.DELAYED, BROKEN, "", BORN + 5)
    assert last is carol


def test_outcomes_in_order_are_the_very_ones() -> None:
    of = entry(recipient("bob"), recipient("bob"))
    first, second = outcomes(of, Action.RELAYED, OK)[0], outcomes(of, Action.FAILED, GONE)[1]

    assert complete(of, [first, second], BORN) == (first, second)


def test_an_entry_that_could_not_be_tried_delays_each_recipient_at_that_moment() -> None:
    of = entry(recipient("bob"), recipient("carol"))

    assert delayed(of, BUSY, BORN + 7) == tuple(
        Outcome(each, Action.DELAYED, BUSY, "", BORN + 7) for each in of.recipients
    )


def test_the_last_attempt_is_at_the_end_whether_the_delay_was_told_before_or_now() -> None:
    before = after(entry(told=True), Action.DELAYED, 7 * DAY - HOUR)
    short = Queue(lifetime=Seconds(5 * HOUR), delay_notice=Seconds(4 * HOUR))
    now = after(entry(), Action.DELAYED, 4 * HOUR, queue=short)

    assert (before.next_due, before.deadline) == (BORN + 7 * DAY, BORN + 7 * DAY)
    assert (now.next_due, now.deadline) == (BORN + 5 * HOUR, BORN + 5 * HOUR)
    assert now.delay_told


# -- while nobody can be told -------------------------------------------------------------------------------------


def test_while_nobody_can_be_told_a_failure_is_a_delay_of_our_own() -> None:
    of = entry(recipient("bob"), recipient("carol"))
    [bob, _], [_, carol] = outcomes(of, Action.FAILED, GONE), outcomes(of, Action.RELAYED, OK)

    assert put_off(of, [bob, carol], BORN, Queue()) == Conclusion(
        (Outcome(bob.recipient, Action.DELAYED, BROKEN, "", BORN), carol),
        BORN + 400,
        (),
        False,
        (),
        BORN + 7 * DAY,
    )


def test_while_nobody_can_be_told_patience_has_no_end() -> None:
    late = BORN + 9 * DAY

    conclusion = put_off(entry(), outcomes(entry(), Action.DELAYED), late, Queue())

    assert [outcome.action for outcome in conclusion.outcomes] == [Action.DELAYED]
    assert conclusion.next_due is not None
    assert conclusion.next_due > late


def test_a_success_needs_no_putting_off() -> None:
    of = entry()

    assert put_off(of, outcomes(of, Action.RELAYED, OK), BORN, Queue()).next_due is None


def test_a_delay_that_was_not_told_is_still_to_be_told_in_time() -> None:
    of, daily = entry(), Queue(retry=(Seconds(DAY),))

    assert put_off(of, outcomes(of, Action.DELAYED), BORN, daily).next_due == BORN + 4 * HOUR
