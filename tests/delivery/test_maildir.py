import asyncio
import errno
import logging
import os
import random
import shutil
import stat
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from notqmail.config import Mailbox
from notqmail.delivery.files import Files
from notqmail.delivery.maildir import MaildirTransport
from notqmail.mail.entry import Entry
from notqmail.mail.errors import ConfigError
from notqmail.mail.header import HeaderEdit
from notqmail.mail.hop import Hop
from notqmail.mail.outcome import Action, Outcome
from notqmail.system.offload import ThreadPool
from tests.support.clock import EPOCH, FakeClock
from tests.support.crash_files import (
    Op,
    RecordedFiles,
    Survives,
    after_crash,
    everything,
    names_only,
    nothing,
)
from tests.support.local_mail import TEXT, Chunked, local_entry

STORED = (
    b"Return-Path: <bob@example.net>\nDelivered-To: alice@example.org\n"
    b"From: a@example.net\nSubject: s\n\nhello\n"
)
LARGE = Chunked([TEXT, *[b"x" * 998 + b"\r\n"] * 700])

Make = Callable[..., MaildirTransport]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Make transports that deliver below tmp_path."""
    pool, made = ThreadPool(2), list[MaildirTransport]()

    def make(files: Files | None = None, mailbox: Mailbox | None = None) -> MaildirTransport:
        settings = mailbox or Mailbox()
        made.append(
            MaildirTransport(tmp_path, settings, "mx.example.org", FakeClock(), pool, files=files)
        )
        return made[-1]

    yield make
    for transport in made:
        await transport.close()
    await pool.close()


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    return tmp_path / "mail/example.org/alice/Maildir"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def only(directory: Path) -> Path:
    (path,) = directory.iterdir()
    return path


# -- what is delivered ------------------------------------------------------------------------------------------


async def test_message_is_found_in_new_with_its_trace(make: Make, maildir: Path) -> None:
    (outcome,) = await make().deliver(local_entry())

    assert outcome.action is Action.DELIVERED
    assert outcome.reply.code == 250
    assert outcome.at == EPOCH
    assert only(maildir / "new").read_bytes() == STORED
    assert names(maildir) == ["cur", "new", "tmp"]
    assert names(maildir / "tmp") == []


async def test_name_has_birth_queue_id_and_host(make: Make, maildir: Path) -> None:
    await make().deliver(local_entry(id="0ABC"))

    name = only(maildir / "new").name
    assert name.startswith("1800000000.Q0ABCR")
    assert name.endswith(".mx.example.org")


async def test_header_edits_are_delivered(make: Make, maildir: Path) -> None:
    await make().deliver(local_entry(edits=(HeaderEdit("prepend", b"Received: r\r\n"),)))

    assert only(maildir / "new").read_bytes().split(b"\n")[2] == b"Received: r"


async def test_large_message_is_streamed_to_the_same_form(make: Make, maildir: Path) -> None:
    (outcome,) = await make().deliver(local_entry(LARGE))

    assert outcome.action is Action.DELIVERED
    body = b"".join(LARGE.parts[1:]).replace(b"\r\n", b"\n")
    assert only(maildir / "new").read_bytes() == STORED + body
    assert names(maildir / "tmp") == []


@pytest.mark.parametrize("content", [TEXT, Chunked([TEXT])])
async def test_every_recipient_of_the_mailbox_has_a_copy_and_an_outcome(
    make: Make, maildir: Path, content: Any
) -> None:
    entry = local_entry(content, "alice@example.org", "alice+news@example.org")

    outcomes = await make().deliver(entry)

    assert [outcome.recipient for outcome in outcomes] == list(entry.recipients)
    assert all(outcome.action is Action.DELIVERED for outcome in outcomes)
    texts = [path.read_bytes() for path in (maildir / "new").iterdir()]
    assert sorted(text.split(b"\n")[1] for text in texts) == [
        b"Delivered-To: alice+news@example.org",
        b"Delivered-To: alice@example.org",
    ]


@pytest.mark.parametrize("content", [TEXT, Chunked([TEXT])])
async def test_recipient_given_twice_has_one_copy(make: Make, maildir: Path, content: Any) -> None:
    outcomes = await make().deliver(local_entry(content, *["alice@example.org"] * 2))

    assert [outcome.action for outcome in outcomes] == [Action.DELIVERED] * 2
    assert only(maildir / "new").read_bytes() == STORED


async def test_marked_message_goes_into_its_folder(make: Make, maildir: Path) -> None:
    await make().deliver(local_entry(folder="Junk"))

    assert only(maildir / ".Junk/new").read_bytes() == STORED
    assert names(maildir / ".Junk") == ["cur", "maildirfolder", "new", "tmp"]
    assert names(maildir / "new") == []


async def test_large_message_is_never_held_whole(make: Make, maildir: Path) -> None:
    line = b"x" * 998 + b"\r\n"
    transport, content = make(), Chunked([TEXT, *[line * 65] * 300])  # 19 MB, one chunk in memory
    await transport.deliver(local_entry(Chunked([TEXT]), mailbox="bob@example.org"))  # made once
    tracemalloc.start()
    try:
        await transport.deliver(local_entry(content))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert only(maildir / "new").stat().st_size == len(STORED) + 300 * 65 * 999
    assert peak < 1 << 20, f"{peak} octets at most"


async def test_many_messages_at_once_all_arrive(make: Make, tmp_path: Path) -> None:
    transport = make()
    entries = [local_entry(id=f"{i:04}", mailbox=f"u{i % 7}@example.org") for i in range(150)]

    outcomes = await asyncio.gather(*map(transport.deliver, entries))

    assert all(outcome.action is Action.DELIVERED for (outcome,) in outcomes)
    assert len(list(tmp_path.glob("mail/example.org/*/Maildir/new/*"))) == 150


async def test_local_mail_is_one_lane(make: Make) -> None:
    transport = make()

    assert await transport.lane(Hop("local", "alice@example.org")) == "local"
    assert await transport.lane(Hop("local", "bob@example.org")) == "local"


@pytest.mark.parametrize("content", [TEXT, LARGE])
async def test_delivery_goes_on_when_its_caller_is_cancelled(
    make: Make, maildir: Path, content: Any
) -> None:
    transport = make()
    delivering = asyncio.create_task(transport.deliver(local_entry(content)))
    await asyncio.sleep(0)
    delivering.cancel()

    await transport.close()

    assert only(maildir / "new").read_bytes().startswith(STORED)


# -- owner and modes --------------------------------------------------------------------------------------------


async def test_modes_are_those_configured_whatever_the_umask(make: Make, maildir: Path) -> None:
    transport = make(mailbox=Mailbox(directory_mode="0770", file_mode="0640"))
    before = os.umask(0o077)
    try:
        await transport.deliver(local_entry(folder="Junk"))
    finally:
        os.umask(before)

    made = [maildir.parent, maildir, maildir / "new", maildir / ".Junk", maildir / ".Junk/cur"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o770}
    files = [only(maildir / ".Junk/new"), maildir / ".Junk/maildirfolder"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o640}


async def test_default_modes_are_private(make: Make, maildir: Path) -> None:
    before = os.umask(0)
    try:
        await make().deliver(local_entry())
    finally:
        os.umask(before)

    assert stat.S_IMODE(maildir.stat().st_mode) == 0o700
    assert stat.S_IMODE(only(maildir / "new").stat().st_mode) == 0o600


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_everything_made_belongs_to_the_configured_owner(make: Make, maildir: Path) -> None:
    await make(mailbox=Mailbox(owner="nobody", group="mail")).deliver(local_entry(folder="Junk"))

    made = [maildir.parent.parent, maildir, maildir / "new", maildir / ".Junk/maildirfolder"]
    owners = {(p.owner(), p.group()) for p in [*made, only(maildir / ".Junk/new")]}
    assert owners == {("nobody", "mail")}


async def test_unknown_owner_is_told_at_the_start(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"mailbox\.owner.*no user 'no-such-user'"):
        make(mailbox=Mailbox(owner="no-such-user"))


async def test_absolute_mailbox_path_is_used_as_it_is(make: Make, tmp_path: Path) -> None:
    (tmp_path / "vmail").mkdir()
    transport = make(mailbox=Mailbox(path=f"{tmp_path}/vmail/{{domain}}/{{user}}"))

    (outcome,) = await transport.deliver(local_entry())

    assert outcome.action is Action.DELIVERED
    assert only(tmp_path / "vmail/example.org/alice/new").read_bytes() == STORED


# -- trouble ----------------------------------------------------------------------------------------------------


class FailingFiles(Files):
    """Fails one kind of call, for paths that contain `where`, as long as `failing`."""

    def __init__(self, call: str, number: int, where: str = "") -> None:
        self.failing = True
        real = getattr(self, call)

        def fail(*args: Any, **kwargs: Any) -> Any:
            if self.failing and where in str(args[0]):
                raise OSError(number, os.strerror(number))
            return real(*args, **kwargs)

        setattr(self, call, fail)


@pytest.mark.parametrize("content", [TEXT, LARGE])
@pytest.mark.parametrize("call", ["mkdir", "open", "write", "fsync", "rename", "close"])
@pytest.mark.parametrize(
    ("number", "enhanced"),
    [(errno.ENOSPC, "4.3.1"), (errno.EDQUOT, "4.2.2"), (errno.EIO, "4.3.0")],
)
async def test_trouble_of_any_call_delays_the_message_and_leaves_nothing(
    make: Make, maildir: Path, caplog: pytest.LogCaptureFixture, call, number, enhanced, content
) -> None:
    files = FailingFiles(call, number)
    transport = make(files)
    caplog.set_level(logging.WARNING)

    (outcome,) = await transport.deliver(local_entry(content))

    assert outcome.action is Action.DELAYED
    assert outcome.reply.enhanced == enhanced
    assert "remedy=" in caplog.text
    assert "m=0001" in caplog.text
    if maildir.exists():
        assert names(maildir / "new") == []
    files.failing = False
    (outcome,) = await transport.deliver(local_entry(content, token=2))
    assert outcome.action is Action.DELIVERED
    assert only(maildir / "new").read_bytes().startswith(STORED)
    assert names(maildir / "tmp") == []


@pytest.mark.parametrize("call", ["chmod", "fchmod"])
async def test_directory_that_cannot_get_its_mode_is_not_left_behind(
    make: Make, maildir: Path, call: str
) -> None:
    files = FailingFiles(call, errno.EPERM)
    transport = make(files, Mailbox(file_mode="0640"))

    (outcome,) = await transport.deliver(local_entry())
    files.failing = False
    (again,) = await transport.deliver(local_entry(token=2))

    assert outcome.reply.enhanced == "4.3.0"
    assert again.action is Action.DELIVERED
    assert stat.S_IMODE(maildir.stat().st_mode) == 0o700


async def test_one_bad_mailbox_does_not_hold_up_the_batch(make: Make, tmp_path: Path) -> None:
    (tmp_path / "mail/example.org").mkdir(parents=True)
    (tmp_path / "mail/example.org/bob").write_text("in the way")
    transport = make()

    (bad,), (good,) = await asyncio.gather(
        transport.deliver(local_entry(mailbox="bob@example.org")), transport.deliver(local_entry())
    )

    assert bad.reply.enhanced == "4.3.0"
    assert good.action is Action.DELIVERED


async def test_short_writes_are_continued(make: Make, maildir: Path) -> None:
    class Slow(Files):
        def write(self, fd: int, data: bytes) -> int:  # type: ignore[override]
            return os.write(fd, data[:7])

    await make(Slow()).deliver(local_entry())

    assert only(maildir / "new").read_bytes() == STORED


async def test_failed_sync_of_new_delays_and_the_next_attempt_makes_no_second_copy(
    make: Make, maildir: Path
) -> None:
    class NewFails(RecordedFiles):
        failing = True

        def fsync(self, fd: int) -> None:  # type: ignore[override]
            if self.failing and self._open[fd][0].endswith("/new"):
                raise OSError(errno.EIO, "I/O error")
            super().fsync(fd)

    files = NewFails()
    transport = make(files)

    (first,) = await transport.deliver(local_entry())
    files.failing = False
    (second,) = await transport.deliver(local_entry(token=2))

    assert (first.action, second.action) == (Action.DELAYED, Action.DELIVERED)
    assert only(maildir / "new").read_bytes() == STORED


@pytest.mark.parametrize("gone", ["", "tmp", "new", "cur"])
async def test_maildir_removed_under_us_is_made_again(make: Make, maildir: Path, gone: str) -> None:
    transport = make()
    await transport.deliver(local_entry(id="1"))
    shutil.rmtree(maildir / gone)

    (outcome,) = await transport.deliver(local_entry(id="2"))

    assert outcome.action is Action.DELIVERED
    assert any("Q2R" in name for name in names(maildir / "new"))


async def test_maildir_removed_in_the_middle_of_a_batch_delays_its_letters(
    make: Make, maildir: Path
) -> None:
    class Removed(RecordedFiles):
        def write(self, fd: int, data: bytes) -> int:  # type: ignore[override]
            if not any(op.kind == "write" for op in self.ops):
                done = super().write(fd, data)
                shutil.rmtree(maildir)
                maildir.write_text("and something else in its place")
                return done
            return super().write(fd, data)

    transport = make(Removed())

    outcomes = await asyncio.gather(*(transport.deliver(local_entry(id=f"{i}")) for i in "12"))

    assert [outcome.action for (outcome,) in outcomes] == [Action.DELAYED] * 2


async def test_content_that_cannot_be_read_delays_and_leaves_nothing(
    make: Make, maildir: Path
) -> None:
    (outcome,) = await make().deliver(local_entry(Chunked([TEXT], broken=True)))

    assert (outcome.action, outcome.reply.enhanced) == (Action.DELAYED, "4.3.0")
    assert names(maildir / "new") == names(maildir / "tmp") == []


async def test_hop_that_is_no_mailbox_delays(make: Make) -> None:
    entry = local_entry()
    broken = Entry(entry.id, entry.message, Hop("local", "no mailbox"), entry.born, 1)

    (outcome,) = await make().deliver(broken)

    assert (outcome.action, outcome.reply.enhanced) == (Action.DELAYED, "4.3.5")


async def test_leftover_of_the_same_attempt_is_replaced(make: Make, maildir: Path) -> None:
    transport = make()
    await transport.deliver(local_entry())
    name = only(maildir / "new").name
    (maildir / "new" / name).unlink()
    (maildir / "tmp" / f"{name}.1").write_text("half a mess")

    (outcome,) = await transport.deliver(local_entry())

    assert outcome.action is Action.DELIVERED
    assert only(maildir / "new").read_bytes() == STORED
    assert names(maildir / "tmp") == []


# -- after a crash ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [TEXT, LARGE])
@pytest.mark.parametrize("moved", ["new/{}", "cur/{}", "cur/{}:2,", "cur/{}:2,FS"])
async def test_recovered_delivery_is_found_wherever_a_reader_moved_it(
    make: Make, maildir: Path, moved: str, content: Any
) -> None:
    transport = make()
    await transport.deliver(local_entry(content))
    delivered = only(maildir / "new")
    delivered.rename(maildir / moved.format(delivered.name))

    (outcome,) = await transport.deliver(local_entry(content, token=2, recovered=True))

    assert outcome.action is Action.DELIVERED
    assert len(names(maildir / "new") + names(maildir / "cur")) == 1
    assert names(maildir / "tmp") == []


@pytest.mark.parametrize(("place", "name"), [("new", "{}"), ("cur", "{}:2,S")])
async def test_found_delivery_is_made_durable_before_it_counts(
    make: Make, maildir: Path, place: str, name: str
) -> None:
    await make().deliver(local_entry())
    delivered = only(maildir / "new")
    delivered.rename(maildir / place / name.format(delivered.name))
    files = RecordedFiles()

    await make(files).deliver(local_entry(token=2, recovered=True))

    assert files.ops[-1] == Op("fsync", str(maildir / place))


async def test_recovered_deliveries_of_one_mailbox_are_looked_up_together(
    make: Make, maildir: Path
) -> None:
    transport = make()
    for id in "12":
        await transport.deliver(local_entry(id=id))
    files = RecordedFiles()

    again = [local_entry(id=id, token=2, recovered=True) for id in "123"]
    outcomes = await asyncio.gather(*map(make(files).deliver, again))

    assert [outcome.action for (outcome,) in outcomes] == [Action.DELIVERED] * 3
    assert len(names(maildir / "new")) == 3
    assert [op.path for op in files.ops if op.kind == "create"] == [
        op.path for op in files.ops if op.kind == "rename"
    ]


async def test_recovered_delivery_that_never_was_is_done_now(make: Make, maildir: Path) -> None:
    await make().deliver(local_entry(id="other"))

    await make().deliver(local_entry(recovered=True))

    assert len(names(maildir / "new")) == 2


async def test_recovered_delivery_removes_what_its_crashed_attempt_left(
    make: Make, maildir: Path
) -> None:
    await make().deliver(local_entry())
    name = only(maildir / "new").name
    (maildir / "new" / name).rename(maildir / "tmp" / f"{name}.1")
    (maildir / "tmp" / "somebody else's").touch()

    await make().deliver(local_entry(token=2, recovered=True))

    assert names(maildir / "new") == [name]
    assert names(maildir / "tmp") == ["somebody else's"]


# -- power failure ----------------------------------------------------------------------------------------------

CASES = pytest.mark.parametrize(
    "entries",
    [
        pytest.param([local_entry()], id="small"),
        pytest.param([local_entry(LARGE)], id="large"),
        pytest.param([local_entry(folder="Junk")], id="folder"),
        pytest.param([local_entry(id="1"), local_entry(id="2")], id="batch"),
    ],
)


async def recorded(make: Make, entries: Sequence[Entry]) -> list[Op]:
    files = RecordedFiles()
    transport = make(files)
    outcomes: list[Sequence[Outcome]] = await asyncio.gather(*map(transport.deliver, entries))
    assert all(outcome.action is Action.DELIVERED for (outcome,) in outcomes)
    return files.ops


def visible(ops: Sequence[Op], root: Path, survives: Survives) -> dict[str, bytes]:
    """The messages a reader would find after a power failure."""
    found = after_crash(ops, root, survives)
    return {path: data for path, data in found.items() if "/new/" in path}


@CASES
async def test_what_is_delivered_survives_a_power_failure(
    make: Make, tmp_path: Path, entries: list[Entry]
) -> None:
    ops = await recorded(make, entries)

    survived = visible(ops, tmp_path, nothing)

    assert survived == {str(p): p.read_bytes() for p in tmp_path.glob("mail/**/new/*")}
    assert len(survived) == len(entries)


@CASES
async def test_every_single_sync_is_needed(
    make: Make, tmp_path: Path, entries: list[Entry]
) -> None:
    ops = await recorded(make, entries)
    whole = visible(ops, tmp_path, nothing)

    syncs = [index for index, op in enumerate(ops) if op.kind == "fsync"]
    needless = [
        ops[index].path
        for index in syncs
        if visible([*ops[:index], *ops[index + 1 :]], tmp_path, nothing) == whole
    ]

    assert needless == []


@CASES
async def test_no_crash_at_any_point_shows_half_a_message(
    make: Make, tmp_path: Path, entries: list[Entry]
) -> None:
    ops = await recorded(make, entries)
    whole = {str(p): p.read_bytes() for p in tmp_path.glob("mail/**/new/*")}
    coin = random.Random(1)

    for point in range(len(ops) + 1):
        for survives in (nothing, names_only, everything, *[lambda *_: coin.random() < 0.5] * 5):
            for path, data in visible(ops[:point], tmp_path, survives).items():
                assert data == whole[path], f"after {ops[point - 1]}"
