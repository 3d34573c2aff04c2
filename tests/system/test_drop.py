"""The drop directory: mail waits in it, and nothing else that stands there does harm."""

import asyncio
import os
import pwd
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from notqmail.config import Local, Size
from notqmail.mail.address import Address
from notqmail.mail.errors import ConfigError, NotqmailError, SpoolError
from notqmail.mail.reply import Reply
from notqmail.system.drop import DropDirectory, leave, prepare
from notqmail.system.submission import RefusedError, Submission
from tests.support.places import open_directory
from tests.support.submitting import Submissions

HOST = "mx.example.org"
TO_BOB = Submission(("bob@example.net",))
MESSAGE = b"Subject: hi\r\n\r\nbody\r\n"
ME = pwd.getpwuid(os.geteuid()).pw_name
OLD = 1_000_000_000  # seconds since 1970


@pytest.fixture
def data(tmp_path: Path) -> Path:
    prepare(tmp_path)
    return tmp_path


def dropped(data: Path, queue: Submissions, **limits: Any) -> DropDirectory:
    return DropDirectory(data, queue.submit, HOST, Local(**limits))


def put_now(data: Path, content: bytes = MESSAGE) -> Path:
    before = set((data / "drop").iterdir())
    leave(data / "drop", TO_BOB, len(content), [content])
    (made,) = set((data / "drop").iterdir()) - before
    return made


async def put(data: Path) -> Path:
    return await asyncio.to_thread(put_now, data)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_others_can_put_but_not_look(data: Path) -> None:
    assert stat.S_IMODE((data / "drop").stat().st_mode) == 0o1733
    assert stat.S_IMODE((data / "refused").stat().st_mode) == 0o700


def test_a_dropped_file_is_readable_by_the_server_under_a_name_nobody_guesses(data: Path) -> None:
    before = os.umask(0o077)
    try:
        path = put_now(data)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert len(path.name.partition("-")[2]) == 32


AS_NOBODY = """
import os, sys
from pathlib import Path
from notqmail.system.drop import leave
from notqmail.system.submission import Submission
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
directory = Path(sys.argv[1])
leave(directory, Submission(("bob@example.net",)), 4, [b"\\r\\n\\r\\n"])
try:
    print("listed", os.listdir(directory))
except PermissionError:
    print("cannot look")
"""


async def _collect(data: Path, queue: Submissions) -> int:
    return await dropped(data, queue).collect()


@pytest.mark.root
def test_another_user_can_leave_mail_and_is_its_sender() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    queue = Submissions()
    with open_directory() as data:
        prepare(data)
        ended = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(data / "drop")], capture_output=True, check=False
        )
        asyncio.run(_collect(data, queue))

    assert ended.stdout.decode() == "cannot look\n", ended.stderr.decode()
    assert queue.taken[0][0].uid == 65534


def test_a_message_that_cannot_be_written_whole_leaves_nothing(data: Path) -> None:
    def breaking() -> Any:
        yield b"half"
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        leave(data / "drop", TO_BOB, 100, breaking())

    assert names(data / "drop") == []


def test_what_is_not_ours_is_not_made_the_drop_directory(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "drop").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigError, match="not ours"):
        prepare(tmp_path)


def test_a_data_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").touch()

    with pytest.raises(ConfigError, match="make data_dir writable"):
        prepare(tmp_path / "data")


async def test_mail_waits_and_goes_out_once(data: Path) -> None:
    queue = Submissions()
    await put(data)
    await put(data)
    directory = dropped(data, queue)

    assert await directory.collect() == 2
    assert await directory.collect() == 0

    user, envelope, content = queue.taken[0]
    assert (user.uid, user.name) == (os.geteuid(), ME)
    assert envelope.sender == Address(ME, HOST)
    assert content == MESSAGE
    assert names(data / "drop") == names(data / "refused") == []


@pytest.mark.root
async def test_the_owner_of_the_file_is_the_sender(data: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    queue = Submissions()
    os.chown(await put(data), 54321, 54321)

    await dropped(data, queue).collect()

    assert queue.taken[0][0].uid == 54321
    assert queue.taken[0][1].sender == Address("uid54321", HOST)


@pytest.mark.parametrize("trouble", [SpoolError("full"), NotqmailError("a bug")])
async def test_what_cannot_be_queued_now_stays(data: Path, trouble: NotqmailError) -> None:
    queue = Submissions(trouble=trouble)
    path = await put(data)

    assert await dropped(data, queue).collect() == 0
    assert path.exists()

    queue.trouble = None
    assert await dropped(data, queue).collect() == 1


async def test_a_transient_refusal_stays(data: Path) -> None:
    path = await put(data)

    await dropped(data, Submissions(Reply(452, "4.3.1", "later"))).collect()

    assert path.exists()


@pytest.mark.parametrize("in_content", [False, True])
async def test_what_is_refused_for_good_is_set_aside(data: Path, in_content: bool) -> None:
    refusal = Reply(550, "5.1.1", "no such mailbox")
    queue = Submissions(trouble=RefusedError(refusal)) if in_content else Submissions(refusal)
    await put(data)

    await dropped(data, queue).collect()

    assert names(data / "drop") == []
    (kept,) = (data / "refused").iterdir()
    assert kept.read_bytes().endswith(MESSAGE)


HEAD = b'{"notqmail":"drop-1","size":%d,"submission":{"recipients":["bob@example.net"]}}\n'


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0" * 5000,
        b"Subject: no envelope\r\n\r\n",
        HEAD[:30],
        HEAD % 3 + b"\r\n",  # half-written
        HEAD % 1 + b"\r\n",  # written on
        HEAD.replace(b"drop-1", b"drop-9") % 2 + b"\r\n",
        HEAD.replace(b"bob@", b"@") % 2 + b"\r\n",
        HEAD % 3 + b"A\n\n",
        HEAD % 2000 + b"x" * 1998 + b"\r\n",
        b'{"notqmail":"drop-1"' + b" " * 100000 + b"}\n",
    ],
)
async def test_a_file_that_is_not_whole_or_not_clean_is_set_aside(
    data: Path, octets: bytes
) -> None:
    queue = Submissions()
    path = data / "drop" / "forged"
    path.write_bytes(octets)
    path.chmod(0o600)

    assert await dropped(data, queue, text_line=1000, request=Size(90000)).collect() == 0

    assert queue.taken == []
    assert names(data / "drop") == []
    assert len(names(data / "refused")) == 1


async def test_a_file_over_the_limit_is_not_read(data: Path) -> None:
    queue = Submissions()
    with (data / "drop" / "huge").open("wb") as file:
        file.truncate(1 << 40)
    (data / "drop" / "huge").chmod(0o600)

    await dropped(data, queue).collect()

    assert (queue.taken, names(data / "drop")) == ([], [])


async def test_a_file_that_others_can_write_names_nobody(data: Path) -> None:
    queue = Submissions()
    (await put(data)).chmod(0o666)

    await dropped(data, queue).collect()

    assert (queue.taken, len(names(data / "refused"))) == ([], 1)


async def test_links_fifos_and_sockets_are_removed_unread(data: Path) -> None:
    queue = Submissions()
    secret = data / "secret"
    secret.write_bytes(HEAD % 2 + b"\r\n")
    secret.chmod(0o600)
    (data / "drop" / "link").symlink_to(secret)
    (data / "drop" / "hard").hardlink_to(secret)
    os.mkfifo(data / "drop" / "fifo", 0o666)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(data / "drop" / "socket"))

    await dropped(data, queue).collect()

    assert (queue.taken, names(data / "drop"), names(data / "refused")) == ([], [], [])
    assert secret.exists()


async def test_a_directory_with_a_tempting_name_is_passed_over(data: Path) -> None:
    queue = Submissions()
    (data / "drop" / "0").mkdir()
    await put(data)

    assert await dropped(data, queue, drop_files=1).collect() == 1


async def test_an_unfinished_file_is_left_alone_until_it_is_old(data: Path) -> None:
    (data / "drop" / ".new").touch()
    (data / "drop" / ".old").touch()
    os.utime(data / "drop" / ".old", (OLD, OLD))

    await dropped(data, Submissions()).collect()

    assert names(data / "drop") == [".new"]


async def test_what_must_wait_does_not_hide_what_stands_behind_it(data: Path) -> None:
    class Picky(Submissions):
        async def submit(self, user: Any, envelope: Any, chunks: Any) -> Reply:
            self.reply = Reply(451, "4.3.0", "not this one") if first else Reply(250, "2.0.0", "ok")
            first.clear()
            return await super().submit(user, envelope, chunks)

    first = [True]
    queue = Picky()
    await put(data)
    await put(data)
    directory = dropped(data, queue, drop_files=1)

    assert [await directory.collect() for _ in range(4)].count(1) == 2


async def test_a_file_taken_back_meanwhile_is_no_trouble(data: Path) -> None:
    queue = Submissions()
    second = [await put(data), await put(data)][1]

    class TakesBack(Submissions):
        async def submit(self, user: Any, envelope: Any, chunks: Any) -> Reply:
            await asyncio.to_thread(second.unlink, missing_ok=True)
            return await queue.submit(user, envelope, chunks)

    assert await dropped(data, TakesBack()).collect() == 1


async def test_a_directory_that_is_gone_is_told_and_looked_for_again(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = dropped(data, Submissions())
    await asyncio.to_thread((data / "drop").rmdir)

    assert await directory.collect() == 0
    assert "drop directory cannot be read" in caplog.text

    await asyncio.to_thread(prepare, data)
    await put(data)
    assert await directory.collect() == 1


async def test_run_looks_at_once_and_again(data: Path) -> None:
    queue = Submissions()
    running = asyncio.create_task(dropped(data, queue, drop_interval=0).run())
    for count in (1, 2):
        await asyncio.to_thread(leave, data / "drop", TO_BOB, len(MESSAGE), [MESSAGE])
        while len(queue.taken) < count:
            await asyncio.sleep(0)

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
