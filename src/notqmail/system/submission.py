"""A message handed in on this machine: the form it has on the injection socket and in the drop directory.

Both begin with one JSON line, `Submission`; then the content. Who hands it in is a stranger all the same: the
envelope is parsed as strictly as SMTP's, and content is lines that end in CRLF, within the limits, or refused.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from notqmail.config import Local
from notqmail.mail.address import Address
from notqmail.mail.envelope import Body, Envelope, Notify, Recipient, Ret
from notqmail.mail.errors import AddressError, NotqmailError
from notqmail.mail.idn import canonical_domain
from notqmail.mail.reply import Reply
from notqmail.smtp.chunking import ChunkChecker
from notqmail.smtp.content import SizeCheck, refusal

MAX_ENVID = 100  # characters, RFC 3461 §4.4

FOREIGN = Reply(554, "5.5.2", "this is not the protocol of local submission; use sendmail")
NO_RECIPIENTS = Reply(554, "5.5.1", "no recipients")
BAD_ENVID = Reply(501, "5.5.4", f"the envelope id is not 1 to {MAX_ENVID} printable characters")
BAD_NOTIFY = Reply(501, "5.5.4", "NOTIFY is NEVER alone, or some of SUCCESS, FAILURE, DELAY")

NotifyWord = Literal["NEVER", "SUCCESS", "FAILURE", "DELAY"]


@dataclass(frozen=True, slots=True)
class LocalUser:
    """Who hands in a message: a user of this machine, as the kernel or the file's owner says."""

    uid: int
    name: str


Submit = Callable[[LocalUser, Envelope, AsyncIterator[bytes]], Awaitable[Reply]]
"""Queues one message and says what became of it. It may answer before it has read all chunks. `RefusedError` out of
the chunks must pass through it, with nothing queued; a SpoolError of its own may too."""


class Submission(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The envelope as a program hands it in. `sender` absent is the user's own address, "" the null sender."""

    recipients: tuple[str, ...]
    sender: str | None = None
    notify: tuple[NotifyWord, ...] | None = None
    ret: Ret | None = None
    envid: str | None = None
    smtputf8: bool = False
    body: Body | None = None


class RefusedError(NotqmailError):
    """A submission that is not taken; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def write_submission(submission: Submission) -> bytes:
    """Give the request line, its LF included."""
    return msgspec.json.encode(submission) + b"\n"


def read_submission(line: bytes) -> Submission:
    """Decode the request line; raises RefusedError."""
    try:
        return msgspec.json.decode(line, type=Submission)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RefusedError(FOREIGN) from None


def envelope_of(submission: Submission, user: LocalUser, hostname: str, limits: Local) -> Envelope:
    """Make the envelope, `user`@`hostname` the sender where none is given; raises RefusedError."""
    if not submission.recipients:
        raise RefusedError(NO_RECIPIENTS)
    if len(submission.recipients) > limits.recipients:
        text = f"more than {limits.recipients} recipients; send it in parts"
        raise RefusedError(Reply(554, "5.5.3", text))
    envid = submission.envid
    if envid is not None and not is_envid(envid):
        raise RefusedError(BAD_ENVID)
    notify = _notify(submission.notify)
    return Envelope(
        sender=_sender(submission.sender, user, hostname),
        recipients=tuple(
            Recipient(address, notify)
            for address in dict.fromkeys(_address(text) for text in submission.recipients)
        ),
        envid=envid,
        ret=submission.ret,
        smtputf8=submission.smtputf8,
        body=submission.body,
    )


def is_envid(text: str) -> bool:
    """Say whether a text can be an envelope id (RFC 3461 §4.4)."""
    return text.isascii() and text.isprintable() and 0 < len(text) <= MAX_ENVID


def own_address(user: LocalUser, hostname: str) -> Address:
    """Give a user's address on this host; by its number when the login name is no local part."""
    try:
        return Address.parse(str(Address(user.name, hostname)))
    except AddressError:
        return Address(f"uid{user.uid}", canonical_domain(hostname))


def _sender(text: str | None, user: LocalUser, hostname: str) -> Address | None:
    if text is None:
        return own_address(user, hostname)
    return _address(text) if text else None


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except AddressError as error:
        raise RefusedError(Reply(553, "5.1.3", f"{text[:80]!r}: {error}")) from None


def _notify(words: tuple[NotifyWord, ...] | None) -> Notify | None:
    if words is None:
        return None
    if not words or ("NEVER" in words and set(words) != {"NEVER"}):
        raise RefusedError(BAD_NOTIFY)
    flags = Notify.NEVER
    for word in words:
        flags |= Notify[word]
    return flags


class ContentCheck:
    """Looks at content on its way in. Size is refused at once; what is wrong with its lines at the end."""

    def __init__(self, limits: Local) -> None:
        self._sizes = SizeCheck(limits.message, limits.header)
        self._lines = ChunkChecker(limits.text_line)

    def feed(self, chunk: bytes) -> None:
        """Take the next octets; raises RefusedError when they are too many."""
        _refuse(self._sizes.feed(chunk))
        self._lines.feed(chunk)

    def finish(self) -> None:
        """The content has ended; raises RefusedError when its lines are not as they must be."""
        faults = self._lines.finish()
        if not self._lines.line_ended:
            faults.bare_lf = True
        _refuse(refusal(faults))


def _refuse(reply: Reply | None) -> None:
    if reply is not None:
        raise RefusedError(reply)
