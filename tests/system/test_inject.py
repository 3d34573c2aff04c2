"""The injection socket: whose message it is, and that only a whole one is taken."""

import asyncio
import json
import os
import pwd
import stat
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from notqmail.config import Local, Seconds, Size
from notqmail.mail.address import Address
from notqmail.mail.errors import NotqmailError, SpoolError
from notqmail.mail.reply import Reply
from notqmail.system.inject import InjectServer, NotTakenError, inject
from notqmail.system.submission import RefusedError, Submission, write_submission
from tests.support.local_sockets import speak
from tests.support.submitting import OK, Submissions

HOST = "mx.example.org"
TO_BOB = Submission(("bob@example.net",))
HEAD = write_submission(TO_BOB)
MESSAGE = b"Subject: hi\r\n\r\nbody\r\n"
ME = pwd.getpwuid(os.geteuid()).pw_name


@asynccontextmanager
async def serving(path: Path, queue: Submissions, **limits: Any) -> AsyncIterator[Path]:
    server = InjectServer(path / "inject.sock", queue.submit, HOST, Local(**limits))
    await server.start()
    try:
        yield path / "inject.sock"
    finally:
        await server.stop()


async def hand_in(path: Path, chunks: Iterable[bytes] = (MESSAGE,)) -> Reply:
    return await asyncio.to_thread(inject, path, TO_BOB, chunks, 5.0)


async def answer(path: Path, octets: bytes) -> str:
    said = json.loads(await speak(path, octets))
    return f"{said['code']} {said['enhanced']}"


async def test_a_message_is_handed_in_by_who_the_kernel_says(tmp_path: Path) -> None:
    queue = Submissions()
    async with serving(tmp_path, queue) as path:
        reply = await hand_in(path, (MESSAGE[:5], b"", MESSAGE[5:]))

    user, envelope, content = queue.taken[0]
    assert reply == OK
    assert (user.uid, user.name) == (os.geteuid(), ME)
    assert envelope.sender == Address(ME, HOST)
    assert [str(r.address) for r in envelope.recipients] == ["bob@example.net"]
    assert content == MESSAGE


async def test_large_content_comes_through(tmp_path: Path) -> None:
    queue = Submissions()
    line = b"x" * 1022 + b"\r\n"
    async with serving(tmp_path, queue) as path:
        await hand_in(path, [b"\r\n", *[line * 64] * 40])

    assert queue.taken[0][2] == b"\r\n" + line * 64 * 40


async def test_anybody_may_connect(tmp_path: Path) -> None:
    async with serving(tmp_path, Submissions()) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o666


@pytest.mark.parametrize("cut", range(1, len(HEAD) + 24, 7))
async def test_a_caller_that_hangs_up_has_sent_nothing(tmp_path: Path, cut: int) -> None:
    queue = Submissions()
    whole = HEAD + b"%d\n%b0\n" % (len(MESSAGE), MESSAGE)
    async with serving(tmp_path, queue) as path:
        assert await speak(path, whole[:-cut], hang_up=True) == b""

    assert queue.taken == []


@pytest.mark.parametrize(
    ("octets", "reply"),
    [
        (b"EHLO me\r\n", "554 5.5.2"),
        (b"\x16\x03\x01\x02\x00\n", "554 5.5.2"),
        (b'{"recipients": []}\n', "554 5.5.1"),
        (b'{"recipients": ["b@"]}\n', "553 5.1.3"),
        (HEAD + b"-1\n", "554 5.5.2"),
        (HEAD + b"1e3\n", "554 5.5.2"),
        (HEAD + "٣\n".encode(), "554 5.5.2"),
        (HEAD + b"\n", "554 5.5.2"),
        (HEAD + b"65537\n", "554 5.5.2"),
        (HEAD + b"0000000000000001\nx", "554 5.5.2"),
        (HEAD + b"9" * 70000, "554 5.5.2"),
        (HEAD + b"6\nA: b\n\n0\n", "550 5.6.11"),
        (HEAD + b"5\nno lf0\n", "550 5.6.11"),
        (HEAD + b"5\ntoo long0\n", "554 5.5.2"),
    ],
)
async def test_a_broken_dialogue_is_refused(tmp_path: Path, octets: bytes, reply: str) -> None:
    queue = Submissions()
    async with serving(tmp_path, queue, request=Size(60000)) as path:
        assert await answer(path, octets) == reply

    assert queue.taken == []


async def test_the_envelope_has_a_bound(tmp_path: Path) -> None:
    async with serving(tmp_path, Submissions(), request=Size(1000)) as path:
        assert await answer(path, b"{" + b" " * 5000 + b"}\n") == "552 5.3.4"


async def test_the_content_has_a_bound(tmp_path: Path) -> None:
    queue = Submissions()
    async with serving(tmp_path, queue, message=Size(1000)) as path:
        reply = await hand_in(path, [b"\r\n", *[b"x" * 62 + b"\r\n"] * 2000])

    assert (reply.code, reply.enhanced, queue.taken) == (552, "5.3.4", [])


@pytest.mark.parametrize("sent", [b"", HEAD[:5], HEAD, HEAD + b"5", HEAD + b"5\nab"])
async def test_silence_is_ended_wherever_it_begins(tmp_path: Path, sent: bytes) -> None:
    async with serving(tmp_path, Submissions(), timeout=Seconds(0.01)) as path:
        assert await answer(path, sent) == "421 4.4.2"


async def test_a_message_that_trickles_is_ended_though_it_is_never_silent(tmp_path: Path) -> None:
    limits = {"timeout": Seconds(30), "message_timeout": Seconds(0.05)}
    async with serving(tmp_path, Submissions(), **limits) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(HEAD)
        trickle = asyncio.create_task(_trickle(writer))
        answered = await reader.readline()
        trickle.cancel()
        writer.close()

    assert b'"code":421,"enhanced":"4.4.2"' in answered


async def _trickle(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"2\n\r\n")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("limit", ["connections", "connections_per_user"])
async def test_callers_over_the_limit_are_put_off(tmp_path: Path, limit: str) -> None:
    queue = Submissions()
    async with serving(tmp_path, queue, **{limit: 1}) as path:
        _, first = await asyncio.open_unix_connection(path)
        busy = await hand_in(path)
        first.write(HEAD + b"2\n\r\n0\n")
        await first.drain()
        first.close()
        await first.wait_closed()

    assert (busy.code, busy.enhanced) == (421, "4.3.2")


@pytest.mark.parametrize(
    ("trouble", "reply"),
    [
        (SpoolError("disk full", full=True), "452 4.3.1"),
        (SpoolError("locked"), "451 4.3.0"),
        (RefusedError(Reply(550, "5.1.1", "no such mailbox")), "550 5.1.1"),
        (NotqmailError("secret detail"), "451 4.3.0"),
    ],
)
async def test_trouble_behind_the_socket_has_its_code(
    tmp_path: Path, trouble: NotqmailError, reply: str
) -> None:
    async with serving(tmp_path, Submissions(trouble=trouble)) as path:
        got = await hand_in(path)

    assert str(got).startswith(reply)
    assert "secret" not in str(got)


async def test_an_answer_before_the_content_was_read_arrives(tmp_path: Path) -> None:
    refusal = Reply(550, "5.1.1", "no such mailbox")
    async with serving(tmp_path, Submissions(refusal, early=True)) as path:
        assert await hand_in(path, [b"x" * 65536] * 100) == refusal


def test_no_server_is_known_as_such(tmp_path: Path) -> None:
    with pytest.raises(NotTakenError, match="No such file"):
        inject(tmp_path / "inject.sock", TO_BOB, [MESSAGE])


async def test_a_server_that_goes_away_has_taken_nothing(tmp_path: Path) -> None:
    async def go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_unix_server(go, tmp_path / "inject.sock")
    async with server:
        with pytest.raises(NotTakenError):
            await hand_in(tmp_path / "inject.sock")
