import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest

from notqmail.mail.errors import ConfigError
from notqmail.system.replace import editing, replace_text


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text("old\n")
    return path


def test_new_text_takes_the_place_of_the_old(file: Path) -> None:
    replace_text(file, "naïve\n")

    assert file.read_bytes() == "naïve\n".encode()
    assert list(file.parent.iterdir()) == [file]


def test_mode_is_kept(file: Path) -> None:
    file.chmod(0o640)

    replace_text(file, "new\n")

    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owner_is_kept(file: Path) -> None:
    os.chown(file, 65534, 8)

    replace_text(file, "new\n")

    assert (file.stat().st_uid, file.stat().st_gid) == (65534, 8)


def test_file_that_was_not_there_is_private(tmp_path: Path) -> None:
    replace_text(tmp_path / "new", "x")

    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_reader_never_sees_half_of_it(file: Path) -> None:
    with file.open() as reader:
        replace_text(file, "new\n")

        assert reader.read() == "old\n"


def test_symbolic_link_stays_one(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to(file)

    replace_text(link, "new\n")

    assert link.is_symlink()
    assert file.read_text() == "new\n"


def test_failure_leaves_the_old_text_and_nothing_else(file: Path) -> None:
    directory = file.parent / "directory"
    directory.mkdir()

    with pytest.raises(ConfigError, match="cannot be changed") as caught:
        replace_text(directory, "new\n")

    assert caught.value.remedy
    assert sorted(file.parent.iterdir()) == [directory, file]


def test_directory_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"), editing(tmp_path / "no" / "users"):
        pass


def test_two_editors_take_turns(file: Path) -> None:
    entered = threading.Event()

    def second() -> None:
        with editing(file):
            entered.set()

    with editing(file):
        fd = os.open(file.parent, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(fd)
        other = threading.Thread(target=second)
        other.start()
        was_in = entered.is_set()
    other.join(10)

    assert not was_in
    assert entered.is_set()
