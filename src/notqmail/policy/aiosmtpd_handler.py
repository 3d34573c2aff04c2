"""A stage that asks a handler written for aiosmtpd: its hooks judge, and it sees the messages, unchanged.

    handle_HELO, handle_EHLO ──► on_helo       handle_RCPT ──► on_rcpt
    handle_MAIL ──────────────► on_mail       handle_DATA ──► on_message

The handler gets a Session and an Envelope of the library, filled from ours and its own as long as ours live: what it
writes there it finds again at its next hook, and nobody else looks at it. What it returns is its judgement alone
(docs/adr/0006): MISSING and 2xx accept, 4xx defers, 5xx rejects, and whatever is no reply defers with 451 and is
logged. An exception is 451 as for every stage.
"""

import asyncio
import inspect
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from aiosmtpd.smtp import DATA_SIZE_DEFAULT, MISSING
from aiosmtpd.smtp import Envelope as HandlerEnvelope
from aiosmtpd.smtp import Session as HandlerSession

from notqmail.mail.envelope import Notify, Recipient
from notqmail.mail.errors import ConfigError
from notqmail.mail.message import Content, Message, closing
from notqmail.mail.reply import Reply
from notqmail.policy.engine import TRY_LATER
from notqmail.policy.evidence import Evidence
from notqmail.policy.stage import Judgement, stage_name
from notqmail.policy.transaction import Session, Transaction
from notqmail.policy.verdict import ACCEPT, Defer, Reject, Verdict
from notqmail.smtp.xtext import encode_orcpt, encode_xtext

T = TypeVar("T")

TOO_LARGE: Final = Reply(552, "5.3.4", "the message is larger than is looked at here")

_HEARD: Final = frozenset({"HELO", "EHLO", "MAIL", "RCPT", "DATA"})
_HOOK: Final = re.compile(r"handle_([A-Z]+)")  # handle_message and the like are no hooks
_LINE: Final = re.compile(r"([2-5][0-5][0-9])(?:[ -]([^\r\n]*))?")  # RFC 5321 §4.2

_log = logging.getLogger("notqmail.policy")


@dataclass(frozen=True, slots=True)
class HandlerServer:
    """What stands for the library's server before a handler: what it may read, nothing it could speak with.
    `data_size_limit` in octets: a larger message is not held in memory for the handler but refused (552)."""

    hostname: str
    data_size_limit: int = DATA_SIZE_DEFAULT
    enable_SMTPUTF8: bool = field(default=True, init=False)  # noqa: N815  the library's name

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()


@dataclass(slots=True)
class _Talk:
    """A handler's session, and the HELO name it was last told."""

    session: HandlerSession
    helo: str = ""


@dataclass(slots=True)
class _Mail:
    """A handler's envelope, and how many of our recipients and of their options it has."""

    envelope: HandlerEnvelope = field(default_factory=HandlerEnvelope)
    recipients: int = 0
    options: int = 0


class _Talks(dict["AiosmtpdHandler", _Talk]):
    """Evidence of a connection: what the handlers keep about it."""


class _Mails(dict["AiosmtpdHandler", _Mail]):
    """Evidence of a transaction: what the handlers keep about it."""


class AiosmtpdHandler:
    """The stage. It has the hooks that the handler has, and no others. Raises ConfigError for a handler that has
    none, or whose handle_EHLO takes other arguments than the library gives."""

    # Set where the handler has a hook for them
    on_helo: Callable[[Session], Judgement]
    on_mail: Callable[[Transaction], Judgement]
    on_rcpt: Callable[[Transaction, Recipient], Judgement]
    on_message: Callable[[Transaction, Message], Judgement]

    def __init__(self, handler: object, server: HandlerServer, name: str = "") -> None:
        self.name = name or stage_name(handler)
        self._server = server
        self._hooks = _hooks(handler, self.name)
        self._ehlo_lines = _takes_lines(self._hooks.get("EHLO"), self.name)
        if "HELO" in self._hooks or "EHLO" in self._hooks:
            self.on_helo = self._helo
        if "MAIL" in self._hooks:
            self.on_mail = self._mail
        if "RCPT" in self._hooks:
            self.on_rcpt = self._rcpt
        if "DATA" in self._hooks:
            self.on_message = self._message

    def _helo(self, session: Session) -> Judgement:
        command = "EHLO" if session.esmtp else "HELO"
        if command not in self._hooks:
            return ACCEPT
        lines = [self._lines()] if command == "EHLO" and self._ehlo_lines else []
        return self._ask(command, session, HandlerEnvelope(), session.helo, *lines)

    def _mail(self, txn: Transaction) -> Judgement:
        envelope = _own(txn.evidence, _Mails, self, _Mail).envelope
        envelope.smtp_utf8 = txn.smtputf8
        return self._ask("MAIL", txn.session, envelope, _sender(txn), list(_mail_options(txn)))

    def _rcpt(self, txn: Transaction, recipient: Recipient) -> Judgement:
        envelope = self._envelope(txn)
        options = list(_rcpt_options(txn, recipient))
        return self._ask("RCPT", txn.session, envelope, str(recipient.address), options)

    def _message(self, txn: Transaction, message: Message) -> Judgement:
        content = message.content
        if content.size > self._server.data_size_limit:
            return Reject(TOO_LARGE, "size for the handler", {"size": content.size})
        whole = content.whole
        return self._read(txn, content) if whole is None else self._data(txn, whole)

    async def _read(self, txn: Transaction, content: Content) -> Verdict:
        async with closing(content.chunks()) as chunks:
            whole = b"".join([chunk async for chunk in chunks])
        said = self._data(txn, whole)
        return await said if isinstance(said, Awaitable) else said

    def _data(self, txn: Transaction, whole: bytes) -> Judgement:
        envelope = self._envelope(txn)
        envelope.content = envelope.original_content = whole
        return self._ask("DATA", txn.session, envelope)

    def _envelope(self, txn: Transaction) -> HandlerEnvelope:
        """Bring the handler's envelope up to date: what its hooks have not set, and who was accepted by all."""
        mail = _own(txn.evidence, _Mails, self, _Mail)
        envelope = mail.envelope
        envelope.smtp_utf8 = txn.smtputf8
        if envelope.mail_from is None:
            envelope.mail_from = _sender(txn)
            envelope.mail_options = envelope.mail_options or list(_mail_options(txn))
        # what a hook has appended counts only if every other stage accepted it too
        del envelope.rcpt_tos[mail.recipients :], envelope.rcpt_options[mail.options :]
        for recipient in txn.recipients[mail.recipients :]:
            envelope.rcpt_tos.append(str(recipient.address))
            envelope.rcpt_options.extend(_rcpt_options(txn, recipient))
        mail.recipients, mail.options = len(txn.recipients), len(envelope.rcpt_options)
        return envelope

    def _session(self, session: Session) -> HandlerSession:
        """Give the handler's session; it lives as long as the connection, whatever is said in it."""
        talk = _own(session.evidence.parent or session.evidence, _Talks, self, self._talk)
        known = talk.session
        if not known.peer:
            known.peer = _peername(session)
        if talk.helo != session.helo:
            talk.helo = known.host_name = session.helo
        known.extended_smtp = session.esmtp
        known.ssl = (
            {"version": session.tls.version, "cipher": session.tls.cipher} if session.tls else None
        )
        if session.login is not None:
            known.authenticated = True
            known.auth_data = session.login.account  # type: ignore[assignment]  # the library types it as None
        return known

    def _talk(self) -> _Talk:
        return _Talk(HandlerSession(self._server.loop))

    def _lines(self) -> list[str]:
        """The reply to EHLO as the library shows it to a hook. Ours stays as it is."""
        size = f"250-SIZE {self._server.data_size_limit}"
        return [f"250-{self._server.hostname}", size, "250-8BITMIME", "250-SMTPUTF8", "250 HELP"]

    def _ask(
        self, command: str, session: Session, envelope: HandlerEnvelope, *args: object
    ) -> Judgement:
        said = self._hooks[command](self._server, self._session(session), envelope, *args)
        return (
            self._later(command, said) if inspect.isawaitable(said) else self._said(command, said)
        )

    async def _later(self, command: str, pending: Awaitable[object]) -> Verdict:
        return self._said(command, await pending)

    def _said(self, command: str, answer: object) -> Verdict:
        if answer is MISSING:
            return ACCEPT
        reply = parse_answer(answer)
        rule = f"handle_{command}"
        if reply is None:
            _log.error(
                "handler gave no reply stage=%s hook=%s said=%.200r", self.name, rule, answer
            )
            return Defer(TRY_LATER, f"{rule} gave no reply")
        if reply.positive:
            return ACCEPT
        return Defer(reply, rule) if reply.transient else Reject(reply, rule)


def parse_answer(answer: object) -> Reply | None:
    """Read what a hook returned, "550 5.7.1 no" or the lines of it; None when it is no final reply. A refusal without
    an enhanced code gets the undefined one (RFC 3463 §3.1): we promise one (RFC 2034 §4)."""
    if isinstance(answer, list) and all(isinstance(line, str) for line in answer):
        answer = "\r\n".join(answer)
    if isinstance(answer, bytes):
        answer = answer.decode("utf-8", "replace")
    if not isinstance(answer, str):
        return None
    lines = [_LINE.fullmatch(line) for line in re.split(r"\r?\n", answer.rstrip("\r\n"))]
    codes = {line and line[1] for line in lines}
    code = codes.pop()
    if codes or code is None or code.startswith("3"):
        return None
    reply = Reply.received(int(code), "\n".join(line[2] or "" for line in lines if line))
    return reply if reply.enhanced else Reply(reply.code, f"{code[0]}.0.0", reply.text)


def _hooks(handler: object, stage: str) -> dict[str, Callable[..., object]]:
    """Find the hooks by the command after which the library calls them."""
    found = {match[1] for name in dir(handler) if (match := _HOOK.fullmatch(name))}
    heard = found & _HEARD
    if not heard:
        known = ", ".join(f"handle_{command}" for command in sorted(_HEARD))
        raise ConfigError(
            f"stage {stage}", "its handler has no hook that is called", f"known: {known}"
        )
    if found != heard:
        deaf = ",".join(sorted(found - heard))
        _log.warning("handler has hooks that are never called stage=%s hooks=%s", stage, deaf)
    return {command: getattr(handler, f"handle_{command}") for command in heard}


def _takes_lines(ehlo: Callable[..., object] | None, stage: str) -> bool:
    """Tell the two forms of handle_EHLO apart as the library does: 4 arguments, or the lines of the reply as a 5th."""
    count = 4 if ehlo is None else len(inspect.signature(ehlo).parameters)
    if count not in (4, 5):
        problem = f"handle_EHLO takes {count} arguments"
        raise ConfigError(
            f"stage {stage}", problem, "it is given 4, or 5 with the lines of the reply"
        )
    return count == 5


def _own(
    evidence: Evidence,
    kind: type[dict["AiosmtpdHandler", T]],
    stage: "AiosmtpdHandler",
    make: Callable[[], T],
) -> T:
    """Find what a stage keeps in this evidence, or make it."""
    kept = evidence.get(kind)
    if kept is None:
        kept = kind()
        evidence.add(kept)
    if stage not in kept:
        kept[stage] = make()
    return kept[stage]


def _peername(session: Session) -> Any:
    """The peer as a transport names it."""
    peer = session.peer
    v6 = ":" in peer.address
    return (peer.address, peer.port, 0, 0) if v6 else (peer.address, peer.port)


def _sender(txn: Transaction) -> str:
    """The reverse-path as the library writes it: without brackets, but the null one with them."""
    return "<>" if txn.sender is None else str(txn.sender)


def _mail_options(txn: Transaction) -> Iterator[str]:
    if txn.size is not None:
        yield f"SIZE={txn.size}"
    if txn.body is not None:
        yield f"BODY={txn.body}"
    if txn.smtputf8:
        yield "SMTPUTF8"
    if txn.ret is not None:
        yield f"RET={txn.ret}"
    if txn.envid is not None:
        yield f"ENVID={encode_xtext(txn.envid)}"


def _rcpt_options(txn: Transaction, recipient: Recipient) -> Iterator[str]:
    if recipient.notify is not None:
        yield f"NOTIFY={','.join(str(each.name) for each in recipient.notify) or Notify.NEVER.name}"
    if recipient.orcpt is not None:
        yield f"ORCPT={encode_orcpt(recipient.orcpt, smtputf8=txn.smtputf8)}"
