"""A message made ready for one server: as it is, or converted where the server takes only seven bits."""

import asyncio
from dataclasses import dataclass

from notqmail.config import Outbound
from notqmail.delivery.features import Features
from notqmail.mail.downgrade import CannotConvertError, to_seven_bit
from notqmail.mail.envelope import Body
from notqmail.mail.message import CHUNK, Message, Octets, closing
from notqmail.mail.reply import Reply
from notqmail.mail.traits import ASCII, Traits, TraitScanner, traits_of


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message as it is to be sent, and what it asks of the server."""

    message: Message
    traits: Traits


class Packer:
    """Packs one message for any number of servers; it is looked at and converted at most once."""

    def __init__(self, message: Message, outbound: Outbound) -> None:
        self._message = message
        self._outbound = outbound
        self._parcel: Parcel | None = None
        self._converted: Parcel | Reply | None = None

    async def traits(self) -> Traits:
        """What the message asks of a server. Raises SpoolError."""
        return (await self._as_it_is()).traits

    async def pack(self, features: Features) -> Parcel | Reply:
        """The message for a server with these features, or why it cannot have it. Raises SpoolError."""
        packed: Parcel | Reply = await self._as_it_is()
        assert isinstance(packed, Parcel)
        if packed.traits.eightbit and not features.eightbit:
            if self._converted is None:
                self._converted = await self._convert()
            packed = self._converted
        if isinstance(packed, Parcel) and packed.message.size > features.size:
            size, limit = packed.message.size, features.size
            return Reply(
                552, "5.3.4", f"{size} octets are more than the {limit} the next hop takes"
            )
        return packed

    async def _as_it_is(self) -> Parcel:
        if self._parcel is None:
            whole = self._message.whole
            traits = await self._scan() if whole is None else traits_of(whole)
            self._parcel = Parcel(self._message, traits)
        return self._parcel

    async def _scan(self) -> Traits:
        """Look through what is not in memory, no further than needed."""
        declared = self._message.envelope.body is Body.EIGHTBIT
        scanner = TraitScanner()
        async with closing(self._message.chunks()) as chunks:
            async for chunk in chunks:
                scanner.feed(chunk)
                if scanner.settled or (declared and scanner.header_seen):
                    break
        traits = scanner.traits
        return Traits(traits.eightbit_header, True) if declared else traits

    async def _convert(self) -> Parcel | Reply:
        message = self._message
        if message.size > self._outbound.convert:
            return _unconverted(f"{message.size} octets are too many to convert")
        content = message.whole
        if content is None:
            async with closing(message.chunks()) as chunks:
                content = b"".join([chunk async for chunk in chunks])
        try:
            if len(content) > CHUNK:
                content = await asyncio.to_thread(to_seven_bit, content)
            else:
                content = to_seven_bit(content)
        except CannotConvertError as error:
            return _unconverted(str(error))
        return Parcel(Message(message.envelope, Octets(content)), ASCII)


def _unconverted(why: str) -> Reply:
    return Reply(554, "5.6.3", f"the next hop does not take 8-bit content (8BITMIME), and {why}")
