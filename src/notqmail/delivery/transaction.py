"""One mail transaction as its client: MAIL, RCPT, DATA, the message (RFC 5321 §3.3, RFC 2920).

With PIPELINING the whole envelope leaves in one write and its replies are read in order; a message in memory follows in
one more. A larger one is streamed as the peer takes it, and cut off when the peer refuses it early.
"""

from collections.abc import Sequence

from notqmail.config import Outbound
from notqmail.delivery.connection import Connection
from notqmail.delivery.features import mail_command, needs_smtputf8, rcpt_command
from notqmail.delivery.parcel import Parcel
from notqmail.delivery.session_error import TROUBLES, BrokenError, describe
from notqmail.mail.envelope import Recipient
from notqmail.mail.errors import LocalProtocolError, RemoteProtocolError, SpoolError
from notqmail.mail.message import CHUNK, closing
from notqmail.mail.reply import Reply
from notqmail.smtp.dots import DotEncoder

_DATA = b"DATA\r\n"


class Transaction:
    """A message for some recipients over an open session. `answers[i]` is the final word on `recipients[i]`; None
    after `run` is a recipient that the server wants in a further transaction (RFC 5321 §4.5.3.1.10)."""

    def __init__(
        self,
        connection: Connection,
        parcel: Parcel,
        recipients: Sequence[Recipient],
        outbound: Outbound,
    ) -> None:
        self.answers: list[Reply | None] = [None] * len(recipients)
        self.accepted: list[int] = []  # which recipients RCPT was accepted for
        self.begun = False  # the server has answered something
        self.committed = (
            False  # the final dot is written: only the server knows what became of the message
        )
        self._astray = (
            False  # RCPT was accepted where MAIL was refused: the server has lost its way
        )
        self._connection = connection
        self._protocol = connection.protocol
        self._parcel = parcel
        self._recipients = recipients
        self._outbound = outbound
        self._phase = ""

    async def run(self) -> None:
        """Do it. Raises BrokenError when the session ends on the way; `answers` holds what was heard until then."""
        connection = self._connection
        connection.used += 1
        connection.in_transaction = True
        try:
            data = await self._envelope()
            if data is not None and data.code == 354 and self._astray:
                connection.abort()  # an empty message would be delivered to them
            elif data is not None and data.code == 354:
                await self._content()
                connection.in_transaction = False
            elif data is not None:
                self._settle(data)
        except (*TROUBLES, LocalProtocolError) as error:
            raise self._broken(describe(error, connection.peer, self._phase)) from error
        except SpoolError as error:
            reply = Reply(451, "4.3.0", "the message cannot be read from the queue now")
            raise self._broken(reply) from error

    async def _envelope(self) -> Reply | None:
        """MAIL and RCPT; give the reply to DATA, or None when it was not sent."""
        mail, *rcpts = self._commands()
        pipelining = self._connection.features.pipelining
        if pipelining:
            self._protocol.send(b"".join([mail, *rcpts, _DATA]), len(rcpts) + 2)
        sender = await self._ask(mail, "MAIL FROM", sent=pipelining)
        if not (sender.positive or pipelining):
            self.answers = [sender] * len(rcpts)
            return None
        for i, rcpt in enumerate(rcpts):
            reply = await self._ask(rcpt, "RCPT TO", sent=pipelining)
            if not sender.positive:
                self.answers[i] = sender
                self._astray = self._astray or reply.positive
            elif reply.positive:
                self.accepted.append(i)
            elif not (self.accepted and _too_many(reply)):
                self.answers[i] = reply
        if not (self.accepted or pipelining):
            return None
        return await self._ask(_DATA, "DATA", sent=pipelining, timeout=self._outbound.data_timeout)

    def _commands(self) -> list[bytes]:
        features = self._connection.features
        message, traits = self._parcel.message, self._parcel.traits
        utf8 = (
            features.smtputf8
            and (
                traits.eightbit_header  # told where it can be; asked for only where it was declared (ADR 4)
                or needs_smtputf8(message.envelope, traits)
                or any(not recipient.address.ascii for recipient in self._recipients)
            )
        )
        mail = mail_command(message.envelope, traits, message.size, features, smtputf8=utf8)
        return [mail, *(rcpt_command(r, features, smtputf8=utf8) for r in self._recipients)]

    async def _ask(
        self, command: bytes, name: str, *, sent: bool, timeout: float | None = None
    ) -> Reply:
        self._phase = f"sending {name}"
        if not sent:
            self._protocol.send(command, 1)
        reply = await self._protocol.reply(timeout or self._outbound.command_timeout)
        if reply.code == 421:
            raise self._broken(reply, heard=True)
        self.begun = True
        fine = reply.code == 354 if command is _DATA else reply.code < 300
        if reply.positive and not fine:
            raise RemoteProtocolError(f"unexpected reply to {name}: {reply}")
        return reply

    async def _content(self) -> None:
        """Send the message; without a recipient only its end, as DATA was pipelined and then let in."""
        self._phase = "sending the message"
        if not self.accepted:
            self._protocol.send(b".\r\n", 1)
        elif not await self._stream():
            return
        self._phase = "waiting for the reply to the message"
        reply = await self._protocol.reply(self._outbound.final_timeout)
        if 300 <= reply.code < 400:
            raise RemoteProtocolError(f"unexpected reply to the message: {reply}")
        self._settle(reply)
        if reply.code == 421:
            self._connection.abort()

    async def _stream(self) -> bool:
        """Write the message; False when the server has refused it before its end."""
        encoder = DotEncoder()
        whole = self._parcel.message.whole
        if whole is not None and len(whole) <= CHUNK:
            self._protocol.send(encoder.feed(whole) + encoder.finish(), 1)
            self.committed = True
            return True
        owed = 1
        async with closing(self._parcel.message.chunks()) as chunks:
            async for chunk in chunks:
                await self._write(encoder.feed(chunk), owed)
                owed = 0
                if self._protocol.answered:
                    await self._refused_early()
                    return False
        self._protocol.send(encoder.finish(), owed)
        self.committed = True
        return True

    async def _write(self, octets: bytes, owed: int) -> None:
        """Write and wait until there is room, or an answer. A peer that answers and hangs up has answered."""
        try:
            self._protocol.send(octets, owed)
            if self._protocol.congested:
                await self._protocol.drain(self._outbound.data_timeout)
        except TROUBLES:
            if not self._protocol.answered:
                raise

    async def _refused_early(self) -> None:
        """The server has answered before the end of the message; nothing else can follow on this session."""
        reply = await self._protocol.reply(self._outbound.data_timeout)
        if reply.positive:
            raise RemoteProtocolError(f"the message was accepted before its end: {reply}")
        self._settle(reply)
        self._connection.abort()

    def _settle(self, reply: Reply) -> None:
        """`reply` is the word on all recipients that were accepted."""
        for i in self.accepted:
            self.answers[i] = reply

    def _broken(self, reply: Reply, *, heard: bool = False) -> BrokenError:
        self._connection.abort()
        return BrokenError(reply, heard=heard)


def _too_many(reply: Reply) -> bool:
    """RFC 5321 §4.5.3.1.10: 452 and, of old, 552 say that this one is too many for one transaction; an enhanced
    code can say that it means something else."""
    return (reply.code, reply.enhanced) in _TOO_MANY


_TOO_MANY = frozenset({(452, ""), (452, "4.5.3"), (552, ""), (552, "5.5.3")})
