"""Exact accounting: whatever happens, each recipient ends delivered, reported, waived or still queued, once.

Random messages meet random answers, slow destinations, bugs, a disk that fails, and crashes. Then the books are
balanced from what left the queue, what is in it, and the journal.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from notqmail.config import Queue
from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Notify, Recipient
from notqmail.mail.errors import SpoolError
from notqmail.mail.outcome import Action
from tests.support.clock import run
from tests.support.queue_world import QueueWorld
from tests.support.transports import ACCEPTED, GREYLISTED, REFUSED, UNREACHABLE, Answer

DAY = 86400.0
SENDERS = ("alice@example.org", "carol@example.net", "gone@example.org", None)
RECIPIENTS = tuple(
    f"{name}@{domain}" for domain in ("example.net", "example.com") for name in "abc"
)
RECIPIENTS += ("alice@example.org", "gone@example.org", "team@example.org")
ALIASES = {"team@example.org": ["a@example.net", "alice@example.org", "gone@example.org"]}
ANSWERS = (ACCEPTED, GREYLISTED, REFUSED, UNREACHABLE, None)  # None: the transport has a bug

messages = st.lists(
    st.tuples(
        st.sampled_from(SENDERS),
        st.lists(st.sampled_from(RECIPIENTS), min_size=1, max_size=4, unique=True),
        st.sampled_from([None, Notify.NEVER, Notify.SUCCESS | Notify.FAILURE]),
    ),
    min_size=1,
    max_size=6,
)


class Fate:
    """Answers drawn from a list, round and round."""

    def __init__(self, answers: list[Answer | None]) -> None:
        self._answers = self._cycle(answers)

    def _cycle(self, answers: list[Answer | None]) -> Iterator[Answer | None]:
        while True:
            yield from answers

    def __call__(self, entry: Entry, recipient: Recipient) -> Answer:
        answer = next(self._answers)
        if answer is None:
            raise ZeroDivisionError("a bug")
        return answer


def shaky(world: QueueWorld, fails: list[bool]) -> None:
    """Have the disk fail settlements as `fails` says."""
    settle, pending = world.store.settle, list(fails)

    async def sometimes(*args: Any, **kwargs: Any) -> Any:
        if pending and pending.pop():
            raise SpoolError("disk full", full=True)
        return await settle(*args, **kwargs)

    world.store.settle = sometimes  # type: ignore[method-assign]


class Books:
    """What became of every recipient, from outside."""

    def __init__(self, world: QueueWorld) -> None:
        self.ended: Counter[tuple[str, str]] = Counter()
        self.failed: set[tuple[str, str]] = set()
        for record in world.journal.records:
            if record["kind"] == "attempt":
                for outcome in record["outcomes"]:
                    key = (record["id"], outcome["to"])
                    self.ended[key] += outcome["action"] != Action.DELAYED
                    if outcome["action"] == Action.FAILED:
                        self.failed.add(key)
        self.parents = Counter(
            (r["parent"], r["why"]) for r in world.journal.records if r["kind"] == "origin"
        )


async def life(
    what: list[Any], answers: list[Answer | None], fails: list[bool], days: float
) -> tuple[QueueWorld, dict[str, Any], set[tuple[str, str]]]:
    """Send, wait, and give the world, what was sent by id, and which recipients are still queued."""
    queue = Queue(active=10, local_concurrency=2, remote_concurrency=3, destination_concurrency=2)
    world = QueueWorld(queue, aliases=ALIASES)
    world.wire.script = Fate(answers)
    world.local.script = Fate([a for a in answers if a is not UNREACHABLE] or [ACCEPTED])
    shaky(world, fails)
    sent = {}
    async with world:
        for sender, to, notify in what:
            id = await world.send(sender, *to, notify=notify)
            sent[id] = (sender, to, notify)
            await asyncio.sleep(1)
        await asyncio.sleep(days * DAY)
    rows = await world.rows()
    return world, sent, {(row.id, row.recipient) for row in rows}


@settings(max_examples=60, deadline=None)
@given(
    what=messages,
    answers=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=7),
    fails=st.lists(st.booleans(), max_size=10),
    days=st.sampled_from([0.0, 0.1, 3.0, 12.0]),
)
def test_every_recipient_is_accounted_for_once(
    what: list[Any], answers: list[Answer | None], fails: list[bool], days: float
) -> None:
    world, sent, queued = run(life(what, answers, fails, days))
    books = Books(world)

    for id, (_, to, _) in sent.items():
        for recipient in expanded(to):
            ends = books.ended[id, recipient] + ((id, recipient) in queued)
            assert ends == 1, (id, recipient)


@settings(max_examples=60, deadline=None)
@given(
    what=messages,
    answers=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=7),
    days=st.sampled_from([0.1, 12.0]),
)
def test_nothing_comes_out_of_thin_air_and_nothing_answers_a_null_sender(
    what: list[Any], answers: list[Answer | None], days: float
) -> None:
    world, sent, queued = run(life(what, answers, [], days))
    books = Books(world)
    reports = {r["id"]: r for r in world.journal.records if r["kind"] == "origin"}

    known = set(sent) | set(reports)
    assert {entry.id for entry in (*world.wire.attempts, *world.local.attempts)} <= known
    assert {id for id, _ in queued} <= known
    for report in reports.values():
        parent = sent.get(report["parent"])
        sender = parent[0] if parent is not None else None
        if report["why"] == "double bounce":
            assert sender is None
            assert report["to"] == ["postmaster@example.org"]
        else:
            assert report["to"] == [sender]
    for parent, why in books.parents:
        if why == "double bounce" and parent in reports:
            assert reports[parent]["why"] != "double bounce"


@settings(max_examples=60, deadline=None)
@given(what=messages, answers=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=7))
def test_every_failure_is_told_or_may_not_be(what: list[Any], answers: list[Answer | None]) -> None:
    world, sent, _ = run(life(what, answers, [], 12.0))
    books = Books(world)

    for id, recipient in books.failed:
        if id not in sent:
            continue
        sender, _, notify = sent[id]
        why = "failure" if sender is not None else "double bounce"
        told = books.parents[id, why] > 0
        assert told == (notify != Notify.NEVER), (id, recipient)


def expanded(to: list[str]) -> set[str]:
    found = set()
    for address in to:
        found |= set(ALIASES.get(address, [address]))
    return found


@settings(max_examples=30, deadline=None)
@given(
    crashes=st.lists(st.floats(0.0, 3 * DAY), min_size=1, max_size=4),
    answers=st.lists(st.sampled_from(ANSWERS[:4]), min_size=1, max_size=5),
)
def test_crash_repeats_attempts_at_most_and_loses_nothing(
    crashes: list[float], answers: list[Answer | None]
) -> None:
    world, ids = run(crashing(crashes, answers))
    ended = Books(world).ended

    assert run(_left(world)) == []
    assert all(ended[id, "a@example.net"] >= 1 for id in ids)
    assert all(ended[id, "a@example.net"] <= 1 + len(crashes) for id in ids)


async def _left(world: QueueWorld) -> list[Any]:
    return list(await world.rows())


async def crashing(
    crashes: list[float], answers: list[Answer | None]
) -> tuple[QueueWorld, list[str]]:
    """A queue whose process dies now and then, in the middle of whatever it does."""
    world = QueueWorld()
    world.wire.script = Fate(answers)
    world.wire.seconds["example.net"] = 20.0
    ids = [await world.send("alice@example.org", "a@example.net") for _ in range(8)]
    for wait in crashes:
        running = asyncio.create_task(world.manager.run())
        await asyncio.sleep(wait)
        await _kill(running)
        world.store.restart()
        world.start()
    async with world:
        await asyncio.sleep(12 * DAY)
    return world, ids


async def _kill(running: asyncio.Task[None]) -> None:
    """End every task at once, recording nothing."""
    mine = asyncio.current_task()
    doomed = [task for task in asyncio.all_tasks() if task is not mine]
    for task in doomed:
        task.cancel()
    await asyncio.wait(doomed)
    assert running.done()
