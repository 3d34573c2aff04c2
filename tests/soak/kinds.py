"""The kinds of mail, and their shares of the whole."""

import asyncio

from tests.soak.client import Client, connected
from tests.soak.letters import Debt, letter
from tests.soak.traffic import SENDER, Kinds, Traffic
from tests.soak.world import MANY
from tests.support.server import DOMAIN

ALICE = f"alice@{DOMAIN}"
LARGE = 10 << 20  # octets


async def small(to: Traffic) -> None:
    await to.send([ALICE], ["alice"], to.text(to.random.randint(100, 8000)))


async def medium(to: Traffic) -> None:
    await to.send([ALICE], ["alice"], to.text(to.random.randint(70_000, 300_000)))


async def large(to: Traffic) -> None:
    await to.send([ALICE], ["alice"], to.text(LARGE), pieces=160)


async def many_recipients(to: Traffic) -> None:
    await to.send([f"{user}@{DOMAIN}" for user in MANY], MANY, to.text(2000))


async def dots(to: Traffic) -> None:
    await to.send([ALICE], ["alice"], b".\r\n..\r\n.dot\r\n" * 20 + b"\r\n.\r\n")


async def eight_bit(to: Traffic) -> None:
    body = to.text(2000, "äöüßéжщ 日本".encode())
    await to.send([ALICE], ["alice"], body, options=" BODY=8BITMIME")


async def null_sender(to: Traffic) -> None:
    await to.send([ALICE], ["alice"], to.text(1000), sender="")


async def slow(to: Traffic) -> None:
    await to.send([ALICE], ["alice"], to.text(4000), pieces=10, pause=0.3)


async def hang_up(to: Traffic) -> None:
    """In the midst of a message, small or large: nothing may come of it."""
    body = to.text(to.random.choice((2000, 500_000)))
    reader, writer = await asyncio.open_connection("127.0.0.1", to.world.server.port)
    client = Client(reader, writer)
    await client.reply()
    await client.ask("EHLO soak.example")
    await client.envelope(SENDER, [ALICE])
    await client.content(letter(to.mark(), body))
    writer.transport.abort()


async def refused(to: Traffic) -> None:
    """Nobody here, nobody's relay; the one good recipient gets the message."""
    mark, body = to.mark(), to.text(1000)
    async with to.client() as client:
        await client.ask(f"MAIL FROM:<{SENDER}>")
        await client.ask(f"RCPT TO:<nobody@{DOMAIN}>", "550")
        await client.ask("RCPT TO:<someone@elsewhere.test>", "550")
        await client.ask(f"RCPT TO:<{ALICE}>")
        await client.ask("DATA", "354")
        async with to.owing([Debt(mark, "alice")]):
            await client.content(letter(mark, body))
            await client.end()


async def relayed(to: Traffic) -> None:
    await to.send([f"away@{DOMAIN}"], ["bob"], to.text(3000))


async def both_ways(to: Traffic) -> None:
    await to.send([ALICE, f"away@{DOMAIN}"], ["alice", "bob"], to.text(3000))


async def from_postfix(to: Traffic) -> None:
    mark, peer = to.mark(), to.world.postfix
    async with connected(peer.host, peer.port) as client:
        await client.envelope("bob@postfix.test", [ALICE])
        async with to.owing([Debt(mark, "alice")]):
            await client.content(letter(mark, to.text(3000)))
            await client.end()


async def injected(to: Traffic) -> None:
    mark = to.mark()
    async with to.owing([Debt(mark, "bob")]):
        given = letter(mark, to.text(2000)).replace(b"\r\n", b"\n")
        await to.command("inject", "-f", ALICE, "bob@postfix.test", given=given)


async def greylisted(to: Traffic) -> None:
    sender = f"{to.mark()}@sender.example"  # a new one, so it is told to come again
    await to.send([f"grey@{DOMAIN}"], ["grey"], to.text(1000), sender=sender)


async def refused_there(to: Traffic) -> None:
    await to.send([f"gone@{DOMAIN}"], ["alice"], to.text(1000), sender=ALICE, bounce=True)


async def to_the_dead(to: Traffic) -> None:
    await to.send([f"dead@{DOMAIN}"], ["alice"], to.text(1000), sender=ALICE, bounce=True)


async def queue_list(to: Traffic) -> None:
    await to.command("queue", "list", "--json")


async def why(to: Traffic) -> None:
    await to.command("why", ALICE, statuses=(0, 1))  # 1: the journal is young


async def reload(to: Traffic) -> None:
    await to.command("reload")


# name: (share, what it does); shares are relative
KINDS: Kinds = {
    "small": (50, small),
    "over 64 KB": (3, medium),
    "10 MB": (0.3, large),
    "20 recipients": (3, many_recipients),
    "dots": (3, dots),
    "8 bit": (3, eight_bit),
    "null sender": (3, null_sender),
    "slow client": (3, slow),
    "hang-up": (3, hang_up),
    "refused recipients": (5, refused),
    "relayed to Postfix": (8, relayed),
    "here and relayed": (4, both_ways),
    "from Postfix": (5, from_postfix),
    "injected": (0.5, injected),
    "greylisted": (3, greylisted),
    "refused there": (2, refused_there),
    "dead destination": (1, to_the_dead),
    "queue list": (0.2, queue_list),
    "why": (0.2, why),
    "reload": (0.05, reload),
}
