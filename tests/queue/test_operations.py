"""What people do with the queue."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from notqmail.mail.address import Address
from notqmail.mail.entry import QueueFilter, QueueRow, Routed
from notqmail.mail.envelope import Body, Envelope, Notify, Recipient, Ret
from notqmail.mail.errors import AddressError
from notqmail.mail.hop import Hop
from notqmail.mail.message import Mark, Message, Octets
from notqmail.queue.operations import MAX_ROWS, OperationError, Operations
from notqmail.queue.resolution import Resolution
from notqmail.queue.route import Router
from notqmail.store.memory import MemoryStore
from tests.support.clock import EPOCH, settle_down, virtual_time
from tests.support.queue_world import CONTENT, QueueWorld
from tests.support.transports import ACCEPTED, GREYLISTED

ALICE = "alice@example.org"
BOB = "bob@example.net"


def operations(world: QueueWorld, *, offline: bool = False) -> Operations:
    manager = None if offline else world.manager
    return Operations(world.store, world.journal, world.router, world.clock, manager=manager)


async def ask(world: QueueWorld, op: str, **args: Any) -> Any:
    return await operations(world).table[op](args)


async def deferred(world: QueueWorld, *to: str | Recipient, **envelope: Any) -> str:
    """A message that waits for its next attempt."""
    world.wire.say("example.net", GREYLISTED)
    id = await world.send(ALICE, *(to or (BOB,)), **envelope)
    await settle_down()
    return id


# -- looking ----------------------------------------------------------------------------------------------------


@virtual_time
async def test_list_has_a_row_for_each_recipient() -> None:
    async with QueueWorld() as world:
        id = await deferred(world, BOB, "carol@example.net")

        rows = await ask(world, "queue_list")

        assert [(row["id"], row["recipient"], row["state"]) for row in rows] == [
            (id, BOB, "deferred"),
            (id, "carol@example.net", "deferred"),
        ]
        assert rows[0]["due"] == EPOCH + 400
        assert rows[0]["last_reply"].startswith("450 4.7.1")


@virtual_time
async def test_list_filters_and_stops_at_its_limit() -> None:
    async with QueueWorld() as world:
        await deferred(world, BOB, "carol@example.net")

        assert len(await ask(world, "queue_list", recipient=BOB)) == 1
        assert len(await ask(world, "queue_list", limit=1)) == 1
        assert await ask(world, "queue_list", sender="") == []


@virtual_time
async def test_show_tells_all_of_a_message() -> None:
    async with QueueWorld() as world:
        to = Recipient(Address.parse(BOB), Notify.SUCCESS | Notify.DELAY, "rfc822;b@example.com")
        id = await deferred(world, to, "carol@example.net", ret=Ret.HDRS)

        shown = await ask(world, "queue_show", id=id)

        assert shown["sender"] == ALICE
        assert shown["ret"] == "HDRS"
        assert shown["size"] == len(CONTENT)
        bob, carol = shown["recipients"]
        assert bob["notify"] == "SUCCESS,DELAY"
        assert bob["orcpt"] == "rfc822;b@example.com"
        assert bob["state"] == "deferred"
        assert bob["attempts"] == 1
        assert carol["notify"] is None


@virtual_time
async def test_show_writes_notify_never_and_a_null_sender() -> None:
    async with QueueWorld() as world:
        world.wire.say(BOB, GREYLISTED)
        id = await world.send(None, BOB, notify=Notify.NEVER)
        await settle_down()

        shown = await ask(world, "queue_show", id=id)

        assert shown["sender"] == ""
        assert shown["recipients"][0]["notify"] == "NEVER"


@virtual_time
async def test_show_names_the_folder_that_judgement_chose() -> None:
    async with QueueWorld() as world:
        bob = Recipient(Address.parse(BOB))
        envelope = Envelope(None, (bob,))
        message = Message(envelope, Octets(CONTENT), marks={bob: Mark("Junk")})
        await world.store.draft().commit(
            Routed("M1", message, (Hop("smtp", "example.net"),), EPOCH)
        )

        assert (await ask(world, "queue_show", id="M1"))["recipients"][0]["folder"] == "Junk"


class Vanishing(MemoryStore):
    """A store whose recipients are delivered while they are looked at."""

    async def find(self, which: QueueFilter, limit: int = 1000) -> Sequence[QueueRow]:
        return []


@virtual_time
async def test_show_tells_what_it_can_of_a_recipient_that_is_gone_meanwhile() -> None:
    async with QueueWorld() as world:
        id = await deferred(world)
        world.store.find = Vanishing(world.clock).find  # type: ignore[method-assign]

        [recipient] = (await ask(world, "queue_show", id=id))["recipients"]

        assert recipient["recipient"] == BOB
        assert "state" not in recipient


@virtual_time
async def test_cat_gives_the_message_in_pieces() -> None:
    async with QueueWorld() as world:
        id = await deferred(world)

        pieces = [piece async for piece in await ask(world, "queue_cat", id=id)]

        assert b"".join(pieces) == CONTENT


@pytest.mark.parametrize("op", ["queue_show", "queue_cat"])
@virtual_time
async def test_message_that_is_not_there_is_said_so(op: str) -> None:
    with pytest.raises(OperationError, match="no message 'X'"):
        await ask(QueueWorld(), op, id="X")


@virtual_time
async def test_counts_are_recipients_by_state() -> None:
    async with QueueWorld() as world:
        await deferred(world, BOB, "carol@example.net")

        assert (await ask(world, "queue_counts"))["deferred"] == 2


@virtual_time
async def test_why_gives_what_the_journal_knows() -> None:
    async with QueueWorld() as world:
        id = await deferred(world)

        assert [record["kind"] for record in await ask(world, "why", ref=id)] == ["attempt"]
        assert await ask(world, "why", ref=id, limit=1)


async def test_resolve_gives_the_tree() -> None:
    assert await ask(QueueWorld(), "resolve", address="Alice+x@example.org") == {
        "address": "Alice+x@example.org",
        "kind": "subaddress",
        "accepts": True,
        "entry": ALICE,
        "hop": f"local:{ALICE}",
    }


async def test_resolve_asks_for_the_way_of_the_sender_it_is_given() -> None:
    world, asked = QueueWorld(), list[Address | None]()

    class Noting(Router):
        def resolve(self, address: Address, sender: Address | None = None) -> Resolution:
            asked.append(sender)
            return super().resolve(address, sender)

    world.router = Noting(world.directory, world.config)

    await ask(world, "resolve", address=BOB, sender=ALICE)
    await ask(world, "resolve", address=BOB, sender="")
    await ask(world, "resolve", address=BOB)

    assert asked == [Address.parse(ALICE), None, None]


async def test_resolve_says_what_is_wrong_with_an_address() -> None:
    with pytest.raises(AddressError):
        await ask(QueueWorld(), "resolve", address="no address")


# -- doing ------------------------------------------------------------------------------------------------------


@virtual_time
async def test_retry_makes_an_attempt_now() -> None:
    async with QueueWorld() as world:
        id = await deferred(world)
        world.wire.say("example.net", ACCEPTED)

        done = await ask(world, "queue_retry", id=id)
        await settle_down()

        assert [row["id"] for row in done["done"]] == [id]
        assert world.wire.delivered == {(id, BOB): 1}


@virtual_time
async def test_held_message_is_not_tried_until_it_is_released() -> None:
    async with QueueWorld() as world:
        id = await deferred(world)
        world.wire.say("example.net", ACCEPTED)

        await ask(world, "queue_hold", id=id)
        await asyncio.sleep(86400)
        assert not world.wire.delivered

        await ask(world, "queue_release", id=id)
        await settle_down()
        assert world.wire.delivered == {(id, BOB): 1}


@virtual_time
async def test_deleted_message_is_gone_and_the_journal_says_by_whom() -> None:
    async with QueueWorld() as world:
        id = await deferred(world)

        await ask(world, "queue_delete", domain="example.net")

        assert not await world.rows()
        record = world.journal.records[-1]
        assert (record["kind"], record["action"], record["ids"]) == ("operation", "delete", [id])


@virtual_time
async def test_what_is_being_delivered_is_left_alone_and_said_to_be_busy() -> None:
    async with QueueWorld() as world:
        world.wire.seconds["example.net"] = 60.0
        id = await world.send(ALICE, BOB)
        await settle_down()

        result = await ask(world, "queue_delete", id=id)

        assert result["done"] == []
        assert [row["id"] for row in result["busy"]] == [id]
        assert all(record["kind"] != "operation" for record in world.journal.records)


@virtual_time
async def test_what_only_waits_in_memory_can_be_deleted() -> None:
    async with QueueWorld() as world:
        world.wire.seconds["example.net"] = 60.0
        for _ in range(10):
            await world.send(ALICE, BOB)
        await settle_down()

        result = await ask(world, "queue_delete", sender=ALICE)
        await asyncio.sleep(3600)

        assert (len(result["done"]), len(result["busy"])) == (5, 5)
        assert len(world.wire.delivered) == 5


@virtual_time
async def test_store_that_nobody_works_on_can_be_edited() -> None:
    world = QueueWorld()
    world.intake.on_entries = None
    id = await world.send(ALICE, BOB)
    world.store.restart()

    result = await operations(world, offline=True).edit("delete", {"id": id})

    assert [row["id"] for row in result["done"]] == [id]


@virtual_time
async def test_whole_queue_is_meant_only_when_it_is_said() -> None:
    async with QueueWorld() as world:
        await deferred(world)

        with pytest.raises(OperationError, match="which messages to delete"):
            await ask(world, "queue_delete")
        assert len((await ask(world, "queue_delete", all=True))["done"]) == 1


# -- nonsense ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "args", "complaint"),
    [
        ("queue_list", {"colour": "red"}, "unknown argument 'colour'"),
        ("queue_list", {"limit": 0}, "'limit' is not a number above 0"),
        ("queue_list", {"limit": "many"}, "'limit' is not a number above 0"),
        ("queue_list", {"older": "long"}, "not a filter"),
        ("queue_delete", {"id": 5}, "not a filter"),
        ("queue_counts", {"limit": 1}, "unknown argument"),
        ("queue_show", {}, "the argument 'id' is missing"),
        ("why", {"ref": ""}, "the argument 'ref' is missing"),
        ("resolve", {"address": None}, "the argument 'address' is missing"),
    ],
)
async def test_nonsense_is_answered_in_a_sentence(
    op: str, args: Mapping[str, Any], complaint: str
) -> None:
    with pytest.raises(OperationError, match=complaint):
        await operations(QueueWorld()).table[op](args)


@virtual_time
async def test_show_names_every_fact_as_the_control_socket_does() -> None:
    async with QueueWorld() as world:
        world.wire.say("example.net", GREYLISTED)
        draft = world.store.draft()
        draft.write(CONTENT)
        envelope = Envelope(
            Address.parse(ALICE),
            (Recipient(Address.parse(BOB)),),
            "id 7",
            Ret.FULL,
            smtputf8=True,
            body=Body.EIGHTBIT,
        )
        id = await world.intake.accept(draft, Message(envelope, draft.content()), None)
        await settle_down()

        shown = await ask(world, "queue_show", id=id)

        [recipient] = shown.pop("recipients")
        assert shown == {
            "id": id,
            "sender": ALICE,
            "login": "",
            "born": EPOCH,
            "size": len(CONTENT),
            "envid": "id 7",
            "ret": "FULL",
            "smtputf8": True,
            "body": "8BITMIME",
        }
        assert recipient["due"] == EPOCH + 400
        assert recipient["last_reply"].startswith("450 4.7.1")


@virtual_time
async def test_why_stops_at_its_limit_and_names_a_wrong_one() -> None:
    async with QueueWorld() as world:
        id = await deferred(world)
        await ask(world, "queue_retry", id=id)
        await settle_down()
        assert len(await ask(world, "why", ref=id)) > 1

        assert len(await ask(world, "why", ref=id, limit=1)) == 1
        with pytest.raises(OperationError, match="'limit' is not a number"):
            await ask(world, "why", ref=id, limit=0)


@virtual_time
async def test_what_was_done_to_the_queue_is_recorded_with_its_time() -> None:
    async with QueueWorld() as world:
        id = await deferred(world)
        world.clock.jump(100)

        await ask(world, "queue_hold", id=id)

        [record] = [r for r in world.journal.records if r["kind"] == "operation"]
        assert record["at"] == EPOCH + 100
        assert record["ids"] == [id]


@pytest.mark.parametrize("op", ["queue_show", "queue_hold"])
@virtual_time
async def test_no_recipient_is_too_many_to_be_looked_at(op: str) -> None:
    async with QueueWorld() as world:
        id = await deferred(world)
        find, limits = world.store.find, list[int]()

        async def noting(which: QueueFilter, limit: int = 1000) -> Sequence[QueueRow]:
            limits.append(limit)
            return await find(which, limit)

        world.store.find = noting  # type: ignore[method-assign]

        await ask(world, op, id=id)

        assert limits == [MAX_ROWS]


@virtual_time
async def test_why_gives_fifty_records_unless_asked_for_more() -> None:
    async with QueueWorld() as world:
        for number in range(60):
            world.journal.write({"kind": "operation", "ids": ["1ID"], "number": number})

        assert len(await ask(world, "why", ref="1ID")) == 50
        assert len(await ask(world, "why", ref="1ID", limit=60)) == 60
