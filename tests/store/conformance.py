"""What every store must do. A test module inherits StoreConformance and gives the fixtures `store` and `clock`.

Small content is a few octets, LARGE is more than any store of the tests keeps in a row.
"""

import asyncio

import pytest

from notqmail.mail.address import Address
from notqmail.mail.entry import Entry, QueueFilter, Routed
from notqmail.mail.envelope import Body, Envelope, Notify, Recipient, Ret
from notqmail.mail.errors import AddressError, SpoolError, StaleTokenError
from notqmail.mail.header import HeaderEdit
from notqmail.mail.hop import Hop
from notqmail.mail.message import Mark, Message, Octets
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply
from notqmail.ports import Store
from tests.support.clock import EPOCH, FakeClock
from tests.support.stored import GONE, delayed, outcomes, put, read, routed

LARGE = bytes(range(256)) * 3000  # 768 000 octets
EVERYTHING = QueueFilter()
HOUR = 3600.0


async def waiting(store: Store, id: str, due: float, *to: str) -> None:
    """Put a message into the queue that waits until `due`."""
    await store.release(await put(store, routed(id, *to)), due)


async def ids(store: Store, now: float, limit: int = 100, skip: tuple[str, ...] = ()) -> list[str]:
    """Claim, and say whose entries came in which order."""
    return [entry.id for entry in await store.claim(now, limit, skip)]


def full_message() -> Routed:
    """A message that uses every field there is."""
    recipients = (
        Recipient(Address("al ice", "example.org"), Notify.SUCCESS | Notify.DELAY, "rfc822;a+b"),
        Recipient(Address("bob", "example.net"), Notify.NEVER),
        Recipient(Address("ünï", "xn--bcher-kva.example")),
        Recipient(Address("postmaster", "")),
    )
    envelope = Envelope(
        Address("sén der", "example.com"), recipients, "id 1", Ret.HDRS, True, True, Body.EIGHTBIT
    )
    edits = (
        HeaderEdit("prepend", b"Received: x\r\n"),
        HeaderEdit("append", b"X: y\r\n"),
        HeaderEdit("remove", b"bcc", 1),
        HeaderEdit("remove", b"x-all"),
    )
    marks = {recipients[1]: Mark("Junk", "looks bad"), recipients[2]: Mark("Lists")}
    hops = (
        Hop("local", "a@example.org"),
        Hop("smtp", "[IPv6:::1]:25"),
        Hop("smtp", "other"),
        Hop("smtp", "other"),
    )
    content = Octets(b"Bcc: z\r\n\r\nbody \x00\xff\r\n")
    return Routed("0FULLMESSAGE1", Message(envelope, content, edits, marks), hops, EPOCH + 0.25)


class StoreConformance:
    """Behaviour of ports.Store."""

    # commit

    async def test_commit_gives_one_claimed_entry_for_each_destination(self, store: Store) -> None:
        item = routed("0A", "a@example.net", "b@example.com", "c@example.net")

        entries = await put(store, item)

        names = [[str(r.address) for r in entry.recipients] for entry in entries]
        assert names == [["a@example.net", "c@example.net"], ["b@example.com"]]
        assert [entry.hop for entry in entries] == [
            Hop("smtp", "example.net"),
            Hop("smtp", "example.com"),
        ]
        assert all(
            (e.id, e.born, e.attempts, e.recovered) == ("0A", EPOCH, 0, False) for e in entries
        )
        assert await store.claim(EPOCH + HOUR, 10) == []

    async def test_what_was_committed_is_claimed_again_unchanged(self, store: Store) -> None:
        item = full_message()
        fresh = await put(store, item)

        await store.release(fresh)
        claimed = await store.claim(EPOCH + HOUR, 10)

        by_hop = {entry.hop: entry for entry in claimed}
        assert set(by_hop) == set(item.hops)
        for entry in fresh:
            again = by_hop[entry.hop]
            assert again.message.envelope == entry.message.envelope
            assert again.message.edits == entry.message.edits == item.message.edits
            assert dict(again.message.marks) == dict(entry.message.marks)
            assert await read(again.message.content) == b"Bcc: z\r\n\r\nbody \x00\xff\r\n"
            assert again.born == EPOCH + 0.25
            assert again.token > entry.token

    async def test_marks_go_to_the_entry_of_their_recipient(self, store: Store) -> None:
        entries = await put(store, full_message())

        folders = {entry.hop.nexthop: list(entry.message.marks.values()) for entry in entries}

        assert folders["a@example.org"] == []
        assert folders["[IPv6:::1]:25"] == [Mark("Junk", "looks bad")]
        assert folders["other"] == [Mark("Lists")]

    async def test_small_content_stays_in_hand(self, store: Store) -> None:
        (entry,) = await put(store, routed("0A", content=b"x\r\n"))

        assert entry.message.content.whole == b"x\r\n"

    async def test_an_empty_message_is_a_message(self, store: Store) -> None:
        (entry,) = await put(store, routed("0A", content=b""))
        await store.release([entry])

        (again,) = await store.claim(EPOCH, 1)

        assert await read(again.message.content) == b""

    async def test_large_content_comes_back_the_same(self, store: Store) -> None:
        (fresh,) = await put(store, routed("0AB", content=LARGE), chunk=10_007)
        await store.release([fresh])

        (again,) = await store.claim(EPOCH, 1)

        assert await read(fresh.message.content) == LARGE
        assert await read(again.message.content) == LARGE
        assert await read(again.message.content) == LARGE  # and once more
        assert again.message.content.size == len(LARGE)

    async def test_an_id_is_taken_once(self, store: Store) -> None:
        (first,) = await put(store, routed("0AB", content=b"first\r\n"))

        with pytest.raises(SpoolError):
            await put(store, routed("0AB", content=b"second\r\n"))

        await store.release([first])
        (again,) = await store.claim(EPOCH, 2)
        assert await read(again.message.content) == b"first\r\n"

    async def test_a_held_message_is_committed_and_given_to_nobody(self, store: Store) -> None:
        item = routed("0A", "a@example.net", "b@example.org", held=True)

        assert await put(store, item) == []

        assert await store.claim(EPOCH + HOUR, 10) == []
        assert await store.next_due() is None
        assert await store.counts() == {"active": 0, "due": 0, "deferred": 0, "held": 2}

    async def test_a_message_held_from_its_birth_is_delivered_when_released(
        self, store: Store
    ) -> None:
        await put(store, routed("0A", "a@example.net", content=LARGE, held=True))

        await store.edit(QueueFilter(id="0A"), "release", EPOCH)

        (entry,) = await store.claim(EPOCH, 10)
        assert (entry.attempts, entry.recovered) == (0, False)
        assert await read(entry.message.content) == LARGE
        await store.settle(entry, outcomes(entry))
        assert await store.find(EVERYTHING) == []

    async def test_who_sent_a_message_is_remembered(self, store: Store) -> None:
        await put(store, routed("0A", login="alice@example.org"))
        await put(store, routed("0B"))

        first, second = await store.open("0A"), await store.open("0B")

        assert first is not None
        assert second is not None
        assert (first.login, second.login) == ("alice@example.org", "")

    # drafts

    async def test_a_draft_can_be_read_before_the_commit(self, store: Store) -> None:
        for content in (b"small\r\n", LARGE):
            draft = store.draft()
            for start in range(0, len(content), 65536):
                writing = draft.write(content[start : start + 65536])
                if writing is not None:
                    await writing

            assert draft.size == len(content)
            assert await read(draft.content()) == content
            assert await read(draft.content()) == content
            draft.discard()

    async def test_a_draft_that_was_read_is_committed_whole(self, store: Store) -> None:
        draft = store.draft()
        for part in (LARGE[:100_000], LARGE[100_000:]):
            writing = draft.write(part)
            if writing is not None:
                await writing
            await read(draft.content())
        content = draft.content()

        (entry,) = await draft.commit(routed("0AB", content=content))

        assert await read(entry.message.content) == LARGE
        assert await read(content) == LARGE

    async def test_a_discarded_draft_leaves_nothing(self, store: Store) -> None:
        for size in (10, 100_000, len(LARGE)):
            draft = store.draft()
            writing = draft.write(LARGE[:size])
            draft.discard()
            if writing is not None:
                await writing

        assert await store.find(EVERYTHING) == []

    async def test_a_draft_ends_once(self, store: Store) -> None:
        draft = store.draft()
        draft.discard()

        with pytest.raises(RuntimeError):
            draft.discard()
        with pytest.raises(RuntimeError):
            await draft.commit(routed("0A"))

    # claim

    async def test_claims_come_oldest_due_first(self, store: Store) -> None:
        for id, due in (("0A", 30.0), ("0B", 10.0), ("0C", 20.0), ("0D", 10.0)):
            await waiting(store, id, due, "x@example.net", f"{id}@example.org")

        entries = await store.claim(100.0, 100)

        order = [(entry.id, entry.hop.destination) for entry in entries]
        assert order == [
            ("0B", "local:0B@example.org"),
            ("0D", "local:0D@example.org"),
            ("0B", "smtp:example.net"),
            ("0D", "smtp:example.net"),
            ("0C", "local:0C@example.org"),
            ("0C", "smtp:example.net"),
            ("0A", "local:0A@example.org"),
            ("0A", "smtp:example.net"),
        ]

    async def test_claims_stop_at_the_limit_and_go_on_there(self, store: Store) -> None:
        for number in range(7):
            await waiting(store, f"0{number}", float(number), f"x@d{number % 2}.example")

        assert await ids(store, 100.0, 3) == ["00", "01", "02"]
        assert await ids(store, 100.0, 3) == ["03", "04", "05"]
        assert await ids(store, 100.0, 3) == ["06"]

    async def test_what_is_not_due_is_not_claimed(self, store: Store) -> None:
        await waiting(store, "0A", EPOCH + 10)

        assert await ids(store, EPOCH + 9.999) == []
        assert await ids(store, EPOCH + 10) == ["0A"]

    async def test_a_claim_is_claimed_once(self, store: Store) -> None:
        await waiting(store, "0A", 1.0)

        assert await ids(store, 2.0) == ["0A"]
        assert await ids(store, 2.0) == []

    async def test_skipped_destinations_do_not_fill_the_page(self, store: Store) -> None:
        for number in range(5):
            await waiting(store, f"0D{number}", 1.0, "x@dead.example")
        await waiting(store, "0L", 2.0, "x@live.example")

        assert await ids(store, 5.0, 1, ("smtp:dead.example", "smtp:absent")) == ["0L"]
        assert len(await ids(store, 5.0)) == 5

    async def test_a_transport_can_be_passed_over(self, store: Store) -> None:
        await waiting(store, "0A", 1.0, "x@a.example", "0A@example.org")
        await waiting(store, "0B", 2.0, "x@b.example")

        assert await store.next_due([], "smtp") == 1.0
        assert await store.next_due(["local:0A@example.org"], "smtp") is None
        entries = await store.claim(5.0, 10, [], "smtp")
        assert [(entry.id, entry.hop.transport) for entry in entries] == [("0A", "local")]
        assert await ids(store, 5.0) == ["0A", "0B"]

    async def test_next_due_is_the_earliest_that_waits(self, store: Store) -> None:
        assert await store.next_due() is None
        await waiting(store, "0A", 20.0, "x@a.example")
        await waiting(store, "0B", 10.0, "x@b.example")
        await put(store, routed("0C"))

        assert await store.next_due() == 10.0
        assert await store.next_due(["smtp:b.example"]) == 20.0
        assert await store.next_due(["smtp:b.example", "smtp:a.example"]) is None
        await store.claim(15.0, 10)
        assert await store.next_due() == 20.0

    # settle

    async def test_a_message_whose_recipients_are_done_is_gone(self, store: Store) -> None:
        entries = await put(store, routed("0AB", "a@example.net", "b@example.com", content=LARGE))

        assert await store.settle(entries[0], outcomes(entries[0])) == []
        assert [row.recipient for row in await store.find(EVERYTHING)] == ["b@example.com"]
        await store.settle(entries[1], outcomes(entries[1], Action.FAILED))

        assert await store.find(EVERYTHING) == []
        assert await store.open("0AB") is None

    async def test_what_is_delayed_stays_and_the_rest_goes(self, store: Store) -> None:
        (entry,) = await put(store, routed("0A", "a@example.net", "b@example.net", "c@example.net"))
        a, b, c = entry.recipients
        busy = Reply(450, "4.2.1", "come\nback")
        results = [
            Outcome(a, Action.RELAYED, GONE),
            Outcome(b, Action.DELAYED, busy, "mx.example.net", EPOCH),
            Outcome(c, Action.FAILED, Reply(550, "5.1.1", "no")),
        ]

        await store.settle(entry, results, EPOCH + HOUR, delay_told=True)

        (row,) = await store.find(EVERYTHING)
        assert (row.recipient, row.attempts, row.due) == ("b@example.net", 1, EPOCH + HOUR)
        assert row.state == "deferred"
        assert row.last_reply == "450 4.2.1 come back"
        (again,) = await store.claim(EPOCH + HOUR, 1)
        assert again.recipients == (b,)
        assert (again.attempts, again.delay_told, again.recovered) == (1, True, False)

    async def test_a_delay_notice_once_told_stays_told(self, store: Store) -> None:
        (entry,) = await put(store, routed("0A"))
        await store.settle(entry, delayed(entry), 1.0, delay_told=True)
        (entry,) = await store.claim(1.0, 1)
        await store.settle(entry, delayed(entry), 2.0)

        (entry,) = await store.claim(2.0, 1)

        assert (entry.delay_told, entry.attempts) == (True, 2)

    async def test_a_recipient_that_stands_twice_is_settled_twice(self, store: Store) -> None:
        (entry,) = await put(store, routed("0A", "a@example.net", "a@example.net"))
        (a, _) = entry.recipients

        await store.settle(entry, [Outcome(a, Action.RELAYED, GONE)], 5.0)

        assert len(await store.find(EVERYTHING)) == 1

    async def test_outcomes_of_somebody_else_are_a_bug(self, store: Store) -> None:
        (entry,) = await put(store, routed("0A"))
        (other,) = await put(store, routed("0B", "b@example.org"))

        with pytest.raises(ValueError, match="b@example"):
            await store.settle(entry, outcomes(other))
        with pytest.raises(ValueError, match="no time"):
            await store.settle(entry, delayed(entry))

        assert (await store.counts())["active"] == 2

    async def test_children_are_committed_with_the_outcome(self, store: Store) -> None:
        (entry,) = await put(store, routed("0AB", "a@example.org", content=LARGE))
        forward = routed("0CD", "z@example.net", content=entry.message.content)
        bounce = routed("0EF", "sender@example.com", sender="", content=b"sorry\r\n")
        report = routed("0GH", "r@example.com", sender="", content=LARGE[:99_999])

        born = await store.settle(
            entry, outcomes(entry, Action.EXPANDED), children=[forward, bounce, report]
        )

        assert [child.id for child in born] == ["0CD", "0EF", "0GH"]
        assert await store.open("0AB") is None
        assert await read(born[0].message.content) == LARGE
        assert await read(born[1].message.content) == b"sorry\r\n"
        assert await read(born[2].message.content) == LARGE[:99_999]
        assert await store.claim(EPOCH + HOUR, 10) == []
        await store.release(born)
        claimed = await store.claim(EPOCH + HOUR, 10)
        assert {e.id: len(await read(e.message.content)) for e in claimed} == {
            "0CD": len(LARGE),
            "0EF": 7,
            "0GH": 99_999,
        }
        assert claimed[1].message.envelope.sender is None

    async def test_a_stale_settlement_records_nothing(self, store: Store) -> None:
        (old,) = await put(store, routed("0AB"))
        await store.release([old])
        (new,) = await store.claim(EPOCH, 1)
        child = routed("0CD", content=LARGE)

        with pytest.raises(StaleTokenError):
            await store.settle(old, outcomes(old), children=[child])
        with pytest.raises(StaleTokenError):
            await store.settle(old, delayed(old), EPOCH)

        assert [row.id for row in await store.find(EVERYTHING)] == ["0AB"]
        await store.settle(new, outcomes(new))
        with pytest.raises(StaleTokenError):
            await store.settle(new, outcomes(new))

    async def test_a_child_whose_id_is_taken_records_nothing(self, store: Store) -> None:
        (entry,) = await put(store, routed("0AB"))
        await put(store, routed("0CD"))

        with pytest.raises(SpoolError):
            await store.settle(entry, outcomes(entry), children=[routed("0CD")])

        await store.settle(entry, outcomes(entry))
        assert [row.id for row in await store.find(EVERYTHING)] == ["0CD"]

    # release

    async def test_release_gives_back_without_an_attempt(self, store: Store) -> None:
        (entry,) = await put(store, routed("0A"))
        await store.release([entry])

        (again,) = await store.claim(EPOCH, 1)

        assert (again.attempts, again.recovered) == (0, False)
        await store.release([again], EPOCH + 60)
        assert await store.next_due() == EPOCH + 60

    async def test_a_stale_release_is_refused_and_the_others_are_released(
        self, store: Store
    ) -> None:
        (old,) = await put(store, routed("0A"))
        await store.release([old])
        (new,) = await store.claim(EPOCH, 1)
        (other,) = await put(store, routed("0B"))

        with pytest.raises(StaleTokenError, match="0A"):
            await store.release([old, other])

        assert await ids(store, EPOCH) == ["0B"]
        await store.release([new])

    # find, open, counts

    async def test_find_shows_every_recipient(self, store: Store, clock: FakeClock) -> None:
        await waiting(store, "0A", EPOCH - 1)
        await waiting(store, "0B", EPOCH + 1, "b@example.net")
        await put(store, routed("0C", "c@example.net", sender=""))
        await waiting(store, "0D", EPOCH)
        await store.edit(QueueFilter(id="0D"), "hold", EPOCH)

        rows = await store.find(EVERYTHING)

        seen = [(row.id, row.sender, row.destination, row.state) for row in rows]
        assert seen == [
            ("0A", "sender@example.com", "local:alice@example.org", "due"),
            ("0B", "sender@example.com", "smtp:example.net", "deferred"),
            ("0C", "", "smtp:example.net", "active"),
            ("0D", "sender@example.com", "local:alice@example.org", "held"),
        ]
        assert {(row.size, row.born, row.attempts, row.last_reply) for row in rows} == {
            (24, EPOCH, 0, "")
        }
        assert await store.counts() == {"active": 1, "due": 1, "deferred": 1, "held": 1}
        clock.advance(5)
        assert await store.counts() == {"active": 1, "due": 2, "deferred": 0, "held": 1}

    @pytest.mark.parametrize(
        ("which", "expected"),
        [
            (QueueFilter(id="0B"), ["0B"]),
            (QueueFilter(id="nothing"), []),
            (QueueFilter(sender=""), ["0C"]),
            (QueueFilter(sender="other@example.net"), ["0B"]),
            (QueueFilter(sender="@Example.com"), ["0A", "0A"]),
            (QueueFilter(recipient="a@example.net"), ["0A"]),
            (QueueFilter(recipient="@example.net"), ["0A", "0B"]),
            (QueueFilter(domain="EXAMPLE.org"), ["0A", "0C"]),
            (QueueFilter(older=HOUR), ["0A", "0A", "0C"]),
            (QueueFilter(held=True), ["0C"]),
            (QueueFilter(held=False), ["0A", "0A", "0B"]),
            (QueueFilter(domain="example.org", sender="sender@example.com"), ["0A"]),
            (QueueFilter(domain="example.org", recipient="@example.net"), []),
            (QueueFilter(login="o'neill"), ["0B"]),
            (QueueFilter(login="O'Neill"), []),
            (QueueFilter(login="o'neill", held=True), []),
        ],
    )
    async def test_find_matches_every_field_that_is_set(
        self, store: Store, clock: FakeClock, which: QueueFilter, expected: list[str]
    ) -> None:
        await put(store, routed("0A", "a@example.net", "b@example.org"))
        young = routed(
            "0B", "b@example.net", sender="other@example.net", born=EPOCH + 1, login="o'neill"
        )
        await put(store, young)
        await waiting(store, "0C", EPOCH)
        await store.edit(QueueFilter(id="0C"), "hold", EPOCH)
        await store.edit(QueueFilter(id="0C"), "delete", EPOCH)
        await store.release(await put(store, routed("0C", "c@example.org", sender="")))
        await store.edit(QueueFilter(id="0C"), "hold", EPOCH)
        clock.advance(HOUR)

        assert [row.id for row in await store.find(which)] == expected

    async def test_find_refuses_what_is_no_address(self, store: Store) -> None:
        with pytest.raises(AddressError):
            await store.find(QueueFilter(recipient="nonsense"))

    async def test_find_gives_no_more_than_asked_for(self, store: Store) -> None:
        await put(store, routed("0A", "a@example.net", "b@example.net", "c@example.org"))

        assert len(await store.find(EVERYTHING, limit=2)) == 2

    async def test_open_shows_what_is_pending(self, store: Store) -> None:
        item = full_message()
        entries = await put(store, item)

        found = await store.open(item.id)

        assert found is not None
        assert (found.id, found.hops, found.born) == (item.id, item.hops, item.born)
        assert found.message.envelope == item.message.envelope
        assert found.message.edits == item.message.edits
        assert dict(found.message.marks) == dict(item.message.marks)
        assert await read(found.message.content) == item.message.content.whole
        await store.settle(entries[0], outcomes(entries[0]))
        rest = await store.open(item.id)
        assert rest is not None
        assert rest.hops == item.hops[1:]
        assert await store.open("absent") is None

    # edit

    async def test_a_held_entry_is_not_claimed_until_released(self, store: Store) -> None:
        await waiting(store, "0A", 1.0)

        (row,) = await store.edit(QueueFilter(id="0A"), "hold", EPOCH)

        assert row.state == "held"
        assert await store.next_due() is None
        assert await ids(store, EPOCH) == []
        (row,) = await store.edit(EVERYTHING, "release", EPOCH)
        assert (row.state, row.due) == ("due", 1.0)
        assert await ids(store, EPOCH) == ["0A"]

    async def test_retry_makes_it_due_now(self, store: Store) -> None:
        await waiting(store, "0A", EPOCH + HOUR)

        (row,) = await store.edit(EVERYTHING, "retry", EPOCH)

        assert (row.state, row.due) == ("due", EPOCH)
        assert await ids(store, EPOCH) == ["0A"]

    async def test_edits_that_do_not_apply_act_on_nothing(self, store: Store) -> None:
        await waiting(store, "0A", EPOCH + HOUR)

        assert await store.edit(EVERYTHING, "release", EPOCH) == []
        assert len(await store.edit(EVERYTHING, "hold", EPOCH)) == 1
        assert await store.edit(EVERYTHING, "hold", EPOCH) == []
        assert await store.edit(EVERYTHING, "retry", EPOCH) == []

    async def test_delete_removes_the_recipients_that_match(self, store: Store) -> None:
        await waiting(store, "0AB", EPOCH, "a@example.net", "b@example.net", "c@example.org")

        rows = await store.edit(QueueFilter(recipient="a@example.net"), "delete", EPOCH)

        assert [row.recipient for row in rows] == ["a@example.net"]
        left = [row.recipient for row in await store.find(EVERYTHING)]
        assert left == ["c@example.org", "b@example.net"]
        await store.edit(EVERYTHING, "delete", EPOCH)
        assert await store.open("0AB") is None
        assert await store.next_due() is None

    async def test_an_edit_of_one_entry_is_for_all_its_recipients(self, store: Store) -> None:
        await waiting(store, "0A", EPOCH, "a@example.net", "b@example.net")

        rows = await store.edit(EVERYTHING, "hold", EPOCH)

        assert [(row.recipient, row.state) for row in rows] == [
            ("a@example.net", "held"),
            ("b@example.net", "held"),
        ]

    @pytest.mark.parametrize("action", ["hold", "release", "retry", "delete"])
    async def test_an_attempt_is_not_edited(self, store: Store, action: str) -> None:
        (entry,) = await put(store, routed("0A"))

        rows = await store.edit(EVERYTHING, action, EPOCH + 1)  # type: ignore[arg-type]

        assert [(row.id, row.state, row.due) for row in rows] == [("0A", "active", EPOCH)]
        await store.settle(entry, outcomes(entry))

    # all of it

    async def test_many_at_once_all_arrive(self, store: Store) -> None:
        async def one(number: int) -> None:
            (entry,) = await put(store, routed(f"0N{number:04}", f"u{number}@example.org"))
            if number % 3 == 0:
                await store.settle(entry, outcomes(entry))
            elif number % 3 == 1:
                await store.settle(entry, delayed(entry), float(number))

        await asyncio.gather(*(one(number) for number in range(300)))

        assert await store.counts() == {"active": 100, "due": 100, "deferred": 0, "held": 0}
        claimed = await store.claim(EPOCH, 1000)
        assert [entry.id for entry in claimed] == [f"0N{n:04}" for n in range(300) if n % 3 == 1]

    async def test_a_claim_nobody_waits_for_is_given_back(self, store: Store) -> None:
        await waiting(store, "0A", 1.0)
        claiming = asyncio.create_task(store.claim(2.0, 10))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        claiming.cancel()
        await asyncio.wait([claiming])

        claimed: list[Entry] = []
        for _ in range(3):  # the first may still find it leased
            claimed += await store.claim(2.0, 10)

        if claiming.cancelled():
            assert [entry.id for entry in claimed] == ["0A"]

    async def test_a_closed_store_says_so(self, store: Store) -> None:
        (entry,) = await put(store, routed("0A"))
        await store.close()
        await store.close()

        with pytest.raises(SpoolError):
            await store.claim(EPOCH, 1)
        with pytest.raises(SpoolError):
            await store.find(EVERYTHING)
        with pytest.raises(SpoolError):
            await store.settle(entry, outcomes(entry))
        with pytest.raises(SpoolError):
            await put(store, routed("0B"))
