"""A data directory with messages in its queue, as a server leaves it when it is stopped."""

import asyncio
import time
from pathlib import Path

from notqmail.config import load
from notqmail.mail.address import Address
from notqmail.mail.entry import Routed
from notqmail.mail.envelope import Envelope, Recipient
from notqmail.mail.header import HeaderEdit
from notqmail.mail.hop import Hop
from notqmail.mail.message import Message
from notqmail.store.sqlite import SqliteStore
from notqmail.system.clock import SystemClock

CONTENT = b"Subject: hi\r\n\r\nbody \xff\r\n"
TRACE = b"Received: by mx.example.org\r\n"


def put(
    config: Path,
    id: str,
    sender: str,
    *recipients: str,
    age: float = 60.0,
    login: str = "",
    held: bool = False,
) -> None:
    """Put a message of so many seconds of age into the queue, due in an hour."""
    asyncio.run(_put(config, id, sender, recipients, time.time() - age, login, held))


async def _put(
    config: Path,
    id: str,
    sender: str,
    recipients: tuple[str, ...],
    born: float,
    login: str,
    held: bool,
) -> None:
    settings = await asyncio.to_thread(load, config)
    store = await SqliteStore.start(settings.data, settings.queue, SystemClock())
    try:
        addresses = [Address.parse(each) for each in recipients]
        envelope = Envelope(
            Address.parse(sender) if sender else None, tuple(map(Recipient, addresses))
        )
        draft = store.draft()
        pressure = draft.write(CONTENT)
        if pressure is not None:
            await pressure
        message = Message(envelope, draft.content(), (HeaderEdit("prepend", TRACE),))
        hops = tuple(Hop("smtp", address.domain) for address in addresses)
        entries = await draft.commit(Routed(id, message, hops, born, login, held))
        await store.release(entries, time.time() + 3600)
    finally:
        await store.close()
