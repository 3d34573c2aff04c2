"""Handing in a message: read it from standard input, complete it, give it to the server or leave it for the server.

All of it is read before anything is sent, so what becomes of it never depends on a program that stops half-way.
Nothing here needs rights: the socket and the drop directory are open to every user of the machine.
"""

import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

from notqmail.config import Config
from notqmail.mail.address import Address
from notqmail.mail.address_list import read_addresses
from notqmail.mail.completion import (
    HeaderReader,
    LineEnds,
    MessageError,
    author,
    complete,
    named_recipients,
)
from notqmail.mail.envelope import Body, Ret
from notqmail.mail.errors import NotqmailError
from notqmail.mail.header import Field
from notqmail.mail.idn import canonical_domain
from notqmail.mail.message import CHUNK
from notqmail.mail.reply import Reply
from notqmail.system.drop import leave
from notqmail.system.inject import NotTakenError, inject
from notqmail.system.submission import (
    BAD_ENVID,
    LocalUser,
    NotifyWord,
    Submission,
    is_envid,
    own_address,
)
from notqmail.system.unix_socket import user_name

IN_MEMORY = 1 << 20  # octets of a message before it goes to a temporary file
NOBODY = "no recipients: name them here, or with -t in To, Cc or Bcc of the message"
DROPPED = Reply(250, "2.0.0", "no server runs: the message waits for its start")


class NoRecipientsError(MessageError):
    """Nobody is to have it."""


class NotAcceptedError(NotqmailError):
    """The message is neither with the server nor waiting for it; it may be tried again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller said. `sender` None is the caller's own address, "" the null sender; `from_header`: the header
    names recipients too; `dot_ends`: a line with only a dot ends the message."""

    recipients: Sequence[str]
    sender: str | None = None
    from_header: bool = False
    name: str = ""
    notify: tuple[NotifyWord, ...] | None = None
    ret: Ret | None = None
    envid: str | None = None
    dot_ends: bool = False


def submit(settings: Config, wanted: Wanted, source: BinaryIO) -> Reply:
    """Hand in the message that `source` gives; the reply says what became of it. Raises MessageError when it cannot be
    sent as it is, NotAcceptedError when it can neither be handed in nor left."""
    if not (wanted.recipients or wanted.from_header):
        raise NoRecipientsError(NOBODY)  # before somebody at a terminal types a message
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
        submission = _read(settings, wanted, source, spool)
        size = spool.tell()

        def chunks() -> Iterator[bytes]:
            spool.seek(0)
            while chunk := spool.read(CHUNK):
                yield chunk

        try:
            return inject(settings.data / "inject.sock", submission, chunks())
        except NotTakenError as why:
            # a server that died may have it and not have said so: twice is better than never
            try:
                leave(settings.data / "drop", submission, size, chunks())
            except OSError as error:
                raise NotAcceptedError(
                    f"no server takes it ({why}), and it cannot wait in {settings.data / 'drop'} "
                    f"({error.strerror}); start the server, then try again"
                ) from None
            return DROPPED


def _read(
    settings: Config,
    wanted: Wanted,
    source: BinaryIO,
    spool: "tempfile.SpooledTemporaryFile[bytes]",
) -> Submission:
    """Read and complete the message into `spool`, and say for whom it is."""
    if wanted.envid is not None and not is_envid(wanted.envid):
        raise MessageError(
            BAD_ENVID.text
        )  # here, where somebody reads it: left for the server, it would be set aside
    pieces = _until_dot(source) if wanted.dot_ends else _pieces(source)
    reader = HeaderReader(settings.local.header)
    if not any(map(reader.feed, pieces)):
        reader.finish()
    sender = _sender(settings, wanted.sender)
    header = complete(
        reader.fields, author(wanted.name, sender), time.time(), _message_id(settings)
    )
    recipients = _recipients(settings, wanted, reader.fields)
    spool.write(header)
    ascii_only = _copy_body(settings, reader.rest, pieces, spool)
    addresses = (*recipients, *([sender] if wanted.sender else []))
    return Submission(
        tuple(map(str, recipients)),
        sender=str(sender) if wanted.sender else wanted.sender,
        notify=wanted.notify,
        ret=wanted.ret,
        envid=wanted.envid,
        smtputf8=_is_international(header) or not all(a.ascii for a in addresses),
        body=None if ascii_only and header.isascii() else Body.EIGHTBIT,
    )


def _copy_body(
    settings: Config,
    rest: bytes,
    pieces: Iterator[bytes],
    spool: "tempfile.SpooledTemporaryFile[bytes]",
) -> bool:
    """Copy the body with clean line ends; say whether it is ASCII."""
    lines, ascii_only = LineEnds(), True
    for piece in chain([rest], pieces):
        made = lines.feed(piece)
        ascii_only = ascii_only and made.isascii()
        spool.write(made)
        if spool.tell() > settings.local.message:
            raise MessageError(f"the message is larger than {settings.local.message} octets")
    spool.write(lines.finish())
    return ascii_only


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    while piece := source.read(CHUNK):
        yield piece


def _until_dot(source: BinaryIO) -> Iterator[bytes]:
    """Give the lines before one with only a dot, in pieces of about CHUNK."""
    piece, at_start = bytearray(), True
    while line := source.readline(CHUNK):
        if at_start and line.rstrip(b"\r\n") == b".":
            break
        at_start = line.endswith(b"\n")
        piece += line
        if len(piece) >= CHUNK:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _sender(settings: Config, given: str | None) -> Address:
    """Say who From names where the message does not: the given sender, else the caller."""
    if not given:
        uid = os.geteuid()
        return own_address(LocalUser(uid, user_name(uid)), settings.hostname)
    found = read_addresses(os.fsencode(given), canonical_domain(settings.hostname))
    if found.unreadable or len(found.addresses) != 1:
        raise MessageError(f"the sender {given[:80]!r} is no address")
    return found.addresses[0]


def _recipients(settings: Config, wanted: Wanted, header: Sequence[Field]) -> Sequence[Address]:
    """Read whom the caller and the header name. A name without a domain means our first one."""
    domain = next(iter(settings.domains), canonical_domain(settings.hostname))
    lists = [read_addresses(os.fsencode(text), domain) for text in wanted.recipients]
    if wanted.from_header:
        lists.append(named_recipients(header, domain))
    for each in lists:
        if each.unreadable:
            raise MessageError(f"{each.unreadable[0][:80]!r} is no address; nothing was sent")
    found = tuple(dict.fromkeys(address for each in lists for address in each.addresses))
    if not found:
        raise NoRecipientsError(NOBODY)
    return found


def _message_id(settings: Config) -> str:
    at = time.strftime("%Y%m%d%H%M%S", time.gmtime())
    return f"{at}.{secrets.token_hex(8)}@{canonical_domain(settings.hostname)}"


def _is_international(header: bytes) -> bool:
    """True when a header needs SMTPUTF8 (RFC 6532): it holds UTF-8, not just 8-bit octets of old."""
    try:
        return not header.isascii() and bool(header.decode("utf-8"))
    except UnicodeDecodeError:
        return False
