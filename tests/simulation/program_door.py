"""A program on the server's machine that hands in mail: the door that sendmail has, without the socket."""

import asyncio
from collections.abc import AsyncIterator

from notqmail.mail.address import Address
from notqmail.mail.envelope import Envelope, Recipient
from notqmail.mail.errors import SpoolError
from notqmail.system.submission import LocalUser
from tests.simulation.ledger import Ledger, Letter
from tests.simulation.program import Program

AGAIN = 60.0  # seconds until it tries again
GIVES_UP = 86400.0


async def hand_in(letter: Letter, program: Program, ledger: Ledger) -> None:
    """Hand in a letter until it is taken or refused. Where the server dies over it, it may have been taken."""
    loop = asyncio.get_running_loop()
    ledger.write(letter)
    began = loop.time()
    while loop.time() - began < GIVES_UP:
        reply = await _try(letter, program, ledger)
        if reply[:1] == "2":
            ledger.accepted(letter, letter.recipients, reply, loop.time())
        if reply[:1] in ("2", "5"):
            return
        await asyncio.sleep(AGAIN)


async def _try(letter: Letter, program: Program, ledger: Ledger) -> str:
    server, life = program.server, program.life
    if server is None or life is None:
        return ""
    envelope = Envelope(
        Address.parse(letter.sender) if letter.sender else None,
        tuple(Recipient(Address.parse(r)) for r in letter.recipients),
    )
    work = life.start(server.submit(LocalUser(1000, "cron"), envelope, _chunks(letter.content)))
    await asyncio.wait([work])
    if work.cancelled():
        ledger.doubted(letter, letter.recipients, asyncio.get_running_loop().time())
        return ""
    error = work.exception()
    if isinstance(error, SpoolError):
        if not error.full:  # its commit failed: what is on the disk of it shows at the next start
            ledger.doubted(letter, letter.recipients, asyncio.get_running_loop().time())
        return "451"
    return str(work.result())


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 16384):
        yield content[start : start + 16384]
        await asyncio.sleep(0.001)
