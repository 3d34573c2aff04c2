"""What another user may read."""

import os

import pytest

from notqmail.system.privileges import look_up
from notqmail.system.readable import unreadable
from tests.support.places import open_directory

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def only_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can ask for another user")


def test_modes_of_files_and_of_the_directories_above_them_count() -> None:
    with open_directory() as directory:
        (directory / "closed").mkdir(0o700)
        files = [directory / name for name in ("open", "ours\n$(x) 'only", "closed/open", "none")]
        for file, mode in zip(files[:3], (0o644, 0o600, 0o644), strict=True):
            file.touch()
            file.chmod(mode)

        assert unreadable(files, look_up("nobody")) == files[1:]


def test_a_group_counts() -> None:
    with open_directory() as directory:
        nobody, file = look_up("nobody"), directory / "key"
        file.touch()
        os.chown(file, 0, nobody.gid)
        file.chmod(0o640)

        assert unreadable([file], nobody) == []


def test_of_nothing_nothing_is_unreadable() -> None:
    assert unreadable([], look_up("nobody")) == []
