"""Whatever is done to them, in whatever order: the SQLite store and the memory store say the same."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from notqmail.config import Queue, Size
from notqmail.mail.entry import Entry, QueueFilter, Routed
from notqmail.mail.errors import StaleTokenError
from notqmail.mail.outcome import Action, Outcome
from notqmail.ports import Store
from notqmail.store.memory import MemoryStore
from notqmail.store.sqlite import SqliteStore
from tests.support.clock import EPOCH, FakeClock
from tests.support.stored import GONE, LATER, put, read, routed

T = TypeVar("T")

RECIPIENTS = tuple(
    f"{who}@{where}" for who in "ab" for where in ("example.org", "c.example", "d.example")
)
DESTINATIONS = ("local:a@example.org", "local:b@example.org", "smtp:c.example", "smtp:d.example")
QUEUE = Queue(free_space=Size(0), inline=Size(50))
TIMES = st.integers(0, 40).map(lambda n: EPOCH + n * 10.0)
TO = st.lists(st.sampled_from(RECIPIENTS), min_size=1, max_size=6)  # some of them twice
FILTERS = st.builds(
    QueueFilter,
    id=st.sampled_from(("", "", "0A0001", "0A0002")),
    recipient=st.sampled_from(("", "", "a@c.example", "@d.example")),
    domain=st.sampled_from(("", "", "example.org")),
    older=st.sampled_from((0.0, 100.0)),
    held=st.sampled_from((None, None, True, False)),
    login=st.sampled_from(("", "", "", "alice")),
)


class Stores(RuleBasedStateMachine):
    """Does everything twice, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.root = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.memory = MemoryStore(self.clock)
        self.sqlite = self.run(SqliteStore.start(self.root, QUEUE, self.clock))
        self.claims: list[tuple[Entry, Entry]] = []
        self.number = 0

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        self.run(self.sqlite.close())
        self.runner.close()
        shutil.rmtree(self.root)

    def _message(
        self, to: Sequence[str], octets: int, *, login: str = "", held: bool = False
    ) -> Routed:
        self.number += 1
        return routed(
            f"0A{self.number:04}",
            *to,
            content=b"x" * octets,
            born=self.clock.now(),
            login=login,
            held=held,
        )

    def _keep(self, ours: Sequence[Entry], theirs: Sequence[Entry]) -> None:
        assert [self.run(facts(e)) for e in ours] == [self.run(facts(e)) for e in theirs]
        self.claims += zip(ours, theirs, strict=True)

    @rule(
        to=TO,
        octets=st.sampled_from((10, 500)),
        login=st.sampled_from(("", "alice")),
        held=st.sampled_from((False, False, True)),
    )
    def commit(self, to: list[str], octets: int, login: str, held: bool) -> None:
        item = self._message(to, octets, login=login, held=held)
        self._keep(self.run(put(self.memory, item)), self.run(put(self.sqlite, item)))

    @rule(
        now=TIMES, limit=st.integers(1, 4), skip=st.sets(st.sampled_from(DESTINATIONS), max_size=2)
    )
    def claim(self, now: float, limit: int, skip: set[str]) -> None:
        ours = self.run(self.memory.claim(now, limit, sorted(skip)))
        theirs = self.run(self.sqlite.claim(now, limit, sorted(skip)))
        self._keep(ours, theirs)

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        due=TIMES,
        told=st.booleans(),
        born=st.booleans(),
        held=st.sampled_from((False, False, True)),
    )
    def settle(self, data: st.DataObject, due: float, told: bool, born: bool, held: bool) -> None:
        pair = data.draw(st.sampled_from(self.claims))
        finals = [data.draw(st.sampled_from((None, True, False))) for _ in pair[0].recipients]
        results = [
            Outcome(r, Action.RELAYED, GONE) if final else Outcome(r, Action.DELAYED, LATER)
            for r, final in zip(pair[0].recipients, finals, strict=True)
            if final is not None
        ]
        children = [self._message(("z@c.example",), 600, held=held)] if born else []

        async def one(store: Store, entry: Entry) -> Sequence[Entry] | None:
            try:
                return await store.settle(entry, results, due, children, told)
            except StaleTokenError:
                return None

        ours, theirs = self.run(one(self.memory, pair[0])), self.run(one(self.sqlite, pair[1]))
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            self._keep(ours, theirs)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), due=st.none() | TIMES)
    def release(self, data: st.DataObject, due: float | None) -> None:
        pairs = data.draw(st.lists(st.sampled_from(self.claims), max_size=3))

        async def one(store: Store, entries: Sequence[Entry]) -> bool:
            try:
                await store.release(entries, due)
            except StaleTokenError:
                return False
            return True

        ours = self.run(one(self.memory, [pair[0] for pair in pairs]))
        assert self.run(one(self.sqlite, [pair[1] for pair in pairs])) == ours

    @rule(which=FILTERS, action=st.sampled_from(("hold", "release", "retry", "delete")), now=TIMES)
    def edit(
        self, which: QueueFilter, action: Literal["hold", "release", "retry", "delete"], now: float
    ) -> None:
        ours = self.run(self.memory.edit(which, action, now))
        assert self.run(self.sqlite.edit(which, action, now)) == ours

    @rule(seconds=st.integers(1, 100))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def restart(self) -> None:
        self.run(self.sqlite.close())
        self.sqlite = self.run(SqliteStore.start(self.root, QUEUE, self.clock))
        self.memory.restart()

    @rule(which=FILTERS)
    def find(self, which: QueueFilter) -> None:
        assert self.run(self.sqlite.find(which)) == self.run(self.memory.find(which))

    @invariant()
    def they_agree(self) -> None:
        assert self.run(account(self.sqlite)) == self.run(account(self.memory))

    @invariant()
    def the_files_are_those_of_the_messages(self) -> None:
        rows = self.run(self.memory.find(QueueFilter()))
        large = {row.id for row in rows if row.size > QUEUE.inline}
        files = {path.name for path in (self.root / "blobs").rglob("*") if path.is_file()}
        assert files == large


async def facts(entry: Entry) -> tuple[object, ...]:
    """Everything about an entry except its token and where its content is."""
    message = entry.message
    return (
        *(entry.id, entry.hop, entry.born, entry.attempts, entry.recovered, entry.delay_told),
        *(message.envelope, message.edits, dict(message.marks), await read(message.content)),
    )


async def account(store: Store) -> tuple[object, ...]:
    """Everything a store says of itself."""
    rows = await store.find(QueueFilter())
    return (
        rows,
        await store.counts(),
        await store.next_due(),
        await store.next_due(DESTINATIONS[2:]),
        [await opened(store, id) for id in sorted({row.id for row in rows})],
    )


async def opened(store: Store, id: str) -> tuple[object, ...]:
    item = await store.open(id)
    assert item is not None
    content = await read(item.message.content)
    return item.message.envelope, item.hops, item.born, item.login, content


TestAgreement = Stores.TestCase
# a failure is shown as it is: with files and threads in every step, shrinking takes minutes
TestAgreement.settings = settings(
    max_examples=12, stateful_step_count=30, deadline=None, phases=[Phase.generate]
)
