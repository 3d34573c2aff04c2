import errno
import os
import threading
from pathlib import Path

import pytest

from notqmail.delivery.maildir_tree import MaildirTree
from notqmail.delivery.ownership import Ownership
from tests.support.crash_files import RecordedFiles


@pytest.fixture
def files() -> RecordedFiles:
    return RecordedFiles()


@pytest.fixture
def tree(tmp_path: Path, files: RecordedFiles) -> MaildirTree:
    return MaildirTree(str(tmp_path), Ownership(), files)


def synced(files: RecordedFiles) -> list[str]:
    return [op.path for op in files.ops if op.kind == "fsync"]


def test_parents_of_an_existing_maildir_are_synced_once_more(
    tree: MaildirTree, files: RecordedFiles, tmp_path: Path
) -> None:
    """The process that made them may have been killed before it could."""
    (tmp_path / "d/u/cur").mkdir(parents=True)

    tree.ensure(f"{tmp_path}/d/u", f"{tmp_path}/d/u")

    assert synced(files) == [str(tmp_path), f"{tmp_path}/d", f"{tmp_path}/d/u"]


def test_known_maildir_costs_nothing(
    tree: MaildirTree, files: RecordedFiles, tmp_path: Path
) -> None:
    tree.ensure(f"{tmp_path}/d/u", f"{tmp_path}/d/u")
    files.ops.clear()

    tree.ensure(f"{tmp_path}/d/u", f"{tmp_path}/d/u")

    assert files.ops == []


def test_second_mailbox_of_a_domain_syncs_only_what_is_its_own(
    tree: MaildirTree, files: RecordedFiles, tmp_path: Path
) -> None:
    tree.ensure(f"{tmp_path}/d/u", f"{tmp_path}/d/u")
    files.ops.clear()

    tree.ensure(f"{tmp_path}/d/v", f"{tmp_path}/d/v")

    assert synced(files) == [f"{tmp_path}/d", f"{tmp_path}/d/v"]


def test_what_is_remembered_is_bounded(files: RecordedFiles, tmp_path: Path) -> None:
    tree = MaildirTree(str(tmp_path), Ownership(), files, remember=2)
    for user in "ab":
        tree.ensure(f"{tmp_path}/d/{user}", f"{tmp_path}/d/{user}")
    files.ops.clear()

    tree.ensure(f"{tmp_path}/d/c", f"{tmp_path}/d/c")

    assert synced(files) == [str(tmp_path), f"{tmp_path}/d", f"{tmp_path}/d/c"]


def test_maildir_may_be_at_the_root_of_the_file_system(tmp_path: Path) -> None:
    made: list[str] = []

    class Pretend(RecordedFiles):
        def mkdir(self, path: str, mode: int) -> None:  # type: ignore[override]
            made.append(path)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

        def open(self, path: str, flags: int, mode: int = 0, *, dir_fd: int | None = None) -> int:
            return super().open(tmp_path, flags)

    MaildirTree("/", Ownership(), Pretend()).ensure("/u", "/u")

    assert made == ["/u", "/u/tmp", "/u/new", "/u/cur"]


def test_directory_made_by_another_thread_is_waited_for(tmp_path: Path) -> None:
    """Until its name is durable nobody may deliver below it."""
    at_sync, go = threading.Event(), threading.Event()

    class Slow(RecordedFiles):
        def fsync(self, fd: int) -> None:  # type: ignore[override]
            at_sync.set()
            assert go.wait(10)
            super().fsync(fd)

    tree = MaildirTree(str(tmp_path), Ownership(), Slow())
    maildir = f"{tmp_path}/d/u"
    first = threading.Thread(target=tree.ensure, args=(maildir, maildir))
    second = threading.Thread(target=tree.ensure, args=(maildir, maildir))
    first.start()
    assert at_sync.wait(10)
    second.start()

    second.join(0.05)
    waiting = second.is_alive()
    go.set()
    first.join(10)
    second.join(10)

    assert waiting
