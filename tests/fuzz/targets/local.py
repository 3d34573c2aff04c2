"""What programs of this machine hand in: messages on standard input, frames on sockets, files in the drop directory."""

import asyncio
import getopt
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from functools import cache
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

import msgspec

from notqmail.cli import sendmail as program
from notqmail.cli import submission
from notqmail.config import Config, Domain, Local, Size
from notqmail.mail.address import Address
from notqmail.mail.completion import (
    HeaderReader,
    LineEnds,
    MessageError,
    author,
    complete,
    named_recipients,
)
from notqmail.mail.envelope import Envelope
from notqmail.mail.errors import NotqmailError
from notqmail.mail.header import header_end, split_header
from notqmail.mail.reply import Reply
from notqmail.system import control as control_socket
from notqmail.system import inject as inject_socket
from notqmail.system.drop import DropDirectory
from notqmail.system.submission import LocalUser, RefusedError, Submission
from tests.fuzz.given import Given
from tests.fuzz.targets.addresses import assert_address

_LIMITS = Local(request=Size(2048), message=Size(4096), header=Size(1024), recipients=10)
_SETTINGS = Config(hostname="mx.example.org", domain=(Domain(name="example.org"),), local=_LIMITS)
_NOWHERE = Path("/nonexistent")
_USER = LocalUser(1000, "alice")


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One loop for all inputs: making one costs more than a whole message."""
    return asyncio.new_event_loop()


def _clean(octets: bytes) -> bool:
    bare = octets.replace(b"\r\n", b"")
    return b"\r" not in bare and b"\n" not in bare


def completion(data: bytes) -> None:
    """A message from a program is complete and clean afterwards, wherever it was cut; Bcc stays here."""
    pieces = Given(data).pieces()
    try:
        reader = HeaderReader(1024)
        left = iter(pieces)
        if not any(map(reader.feed, left)):
            reader.finish()
    except MessageError:
        return
    ends = LineEnds()
    body = b"".join([*map(ends.feed, (reader.rest, *left)), ends.finish()])
    assert _clean(body)
    assert not body or body.endswith(b"\r\n")
    header = complete(reader.fields, author("Jürgen", Address("a", "b")), 0.0, "1@example.org")
    assert header_end(header) == len(header) - 2
    names = [field.name.lower() for field in split_header(header)]
    assert {"date", "message-id", "from"} <= set(names)
    assert not {"bcc", "resent-bcc", "return-path"} & set(names)
    for each in named_recipients(reader.fields, "example.org").addresses:
        assert_address(each)


def sendmail(data: bytes) -> None:
    """Any command line and message is refused, or gives an envelope and content that the server takes."""
    options, _, message = Given(data).rest().partition(b"\n\n")
    arguments = [os.fsdecode(word) for word in options.split(b"\n")]
    with tempfile.SpooledTemporaryFile() as spool:
        try:
            given, recipients = getopt.gnu_getopt(arguments, program._OPTIONS)
            said = {name[1:]: value for name, value in given}
            wanted = program._wanted(said, recipients, dot_ends="i" not in said)
            asked = submission._read(_SETTINGS, wanted, BytesIO(message), spool)
        except (getopt.GetoptError, program.UsageError, NotqmailError):
            return
        spool.seek(0)
        content = spool.read()
    assert asked.recipients
    for each in (*asked.recipients, *([asked.sender] if asked.sender else [])):
        assert_address(Address.parse(each))
    assert _clean(content)
    assert content.endswith(b"\r\n")
    assert len(content) <= _LIMITS.message + _LIMITS.header + 1000
    assert msgspec.json.decode(msgspec.json.encode(asked), type=Submission) == asked


def inject(data: bytes) -> None:
    """Frames are those of the plain reading; what is not whole, or not clean, is never queued."""
    queued: list[tuple[Envelope, bytes]] = []

    async def submit(user: LocalUser, envelope: Envelope, chunks: AsyncIterator[bytes]) -> Reply:
        content = b"".join([chunk async for chunk in chunks])
        queued.append((envelope, content))
        return Reply(250, "2.0.0", "queued")

    server = inject_socket.InjectServer(_NOWHERE, submit, "mx.example.org", _LIMITS)

    async def hand_in() -> Reply | None:
        reader = asyncio.StreamReader(limit=_LIMITS.request)
        reader.feed_data(data)
        reader.feed_eof()
        try:
            return await server._message(reader, _USER)
        except RefusedError as refusal:
            return refusal.reply
        except EOFError:
            return None

    answer = _loop().run_until_complete(hand_in())
    assert (answer is not None and answer.positive) == bool(queued)
    if answer is not None:
        assert inject_socket._reply(inject_socket._answer(answer)) == answer
    for envelope, content in queued:
        assert content == _framed(data.partition(b"\n")[2])
        assert _clean(content)
        assert b"\0" not in content
        assert len(content) <= _LIMITS.message
        assert 0 < len(envelope.recipients) <= _LIMITS.recipients
        for each in envelope.recipients:
            assert_address(each.address)


def _framed(octets: bytes) -> bytes:
    content = b""
    while True:
        line, _, octets = octets.partition(b"\n")
        if not (size := int(line)):
            return content
        content, octets = content + octets[:size], octets[size:]


def control(data: bytes) -> None:
    """Every request has an answer of one line; no answer, however broken, confuses who asked."""

    async def operation(args: Mapping[str, Any]) -> Any:
        return dict(args)

    server = control_socket.ControlServer(_NOWHERE, {"queue_list": operation}, _LIMITS)
    line = data.partition(b"\n")[0]
    try:
        result = _loop().run_until_complete(server._perform(line))
        answer = control_socket._line({"ok": True, "result": result})
    except NotqmailError as error:
        answer = control_socket._refusal(str(error))
    assert answer.count(b"\n") == 1
    for octets in (answer, data):
        with suppress(control_socket.ControlError):
            control_socket._head(BufferedReader(BytesIO(octets)))
        with suppress(control_socket.ControlError):
            size = control_socket._frame_size(BufferedReader(BytesIO(octets)))
            assert 0 <= size <= control_socket._MAX_FRAME
    with suppress(inject_socket.NotTakenError):
        inject_socket._reply(data)


def drop(data: bytes) -> None:
    """The first line of a file is one of ours, or the file is refused."""

    async def submit(user: LocalUser, envelope: Envelope, chunks: AsyncIterator[bytes]) -> Reply:
        raise AssertionError("nothing is handed in here")

    directory = DropDirectory(_NOWHERE, submit, "mx.example.org", _LIMITS)
    with suppress(RefusedError):
        head = directory._head(BytesIO(data))
        assert head.notqmail == "drop-1"
        assert msgspec.json.decode(msgspec.json.encode(head.submission), type=Submission)
