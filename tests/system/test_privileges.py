import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from notqmail import config
from notqmail.mail.errors import ConfigError
from notqmail.system.privileges import (
    Identity,
    hand_over,
    identity,
    let_read,
    look_up,
)
from tests.support.places import open_directory

NOBODY = pwd.getpwnam("nobody")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")


def in_child(program: str, *args: object) -> Any:
    """Run lines of Python in a process of its own, since there is no way back; give what it prints as JSON."""
    lines = "\n".join(
        [
            "import json, os, sys",
            "from pathlib import Path",
            "from notqmail.mail.errors import ConfigError",
            "from notqmail.system.privileges import *",
            program,
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", lines, *map(str, args)],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
    )
    return json.loads(done.stdout)


def status(text: str) -> dict[str, list[str]]:
    """/proc/self/status as a mapping."""
    return {
        key: value.split() for key, _, value in (line.partition(":") for line in text.splitlines())
    }


STATUS = "print(json.dumps(Path('/proc/self/status').read_text()))"


@pytest.mark.root
@as_root
def test_every_id_and_group_is_the_users() -> None:
    found = status(in_child(f"become(look_up('nobody', 'mail')); {STATUS}"))

    assert found["Uid"] == [str(NOBODY.pw_uid)] * 4  # real, effective, saved, file system
    assert found["Gid"] == ["8"] * 4
    assert found["Groups"] == ["8"]  # as initgroups(3) has it


@pytest.mark.root
@as_root
def test_no_capability_and_no_new_privilege_is_left() -> None:
    found = status(in_child(f"become(look_up('nobody')); {STATUS}"))

    assert {found[f"Cap{kind}"][0].strip("0") for kind in ("Prm", "Eff", "Amb")} == {""}
    assert found["NoNewPrivs"] == ["1"]
    assert found["Umask"] == ["0077"]


@pytest.mark.root
@as_root
@pytest.mark.parametrize("call", ["setuid", "seteuid", "setgid", "setegid"])
def test_there_is_no_way_back(call: str) -> None:
    program = f"""
become(look_up('nobody'))
try:
    os.{call}(0)
except PermissionError:
    print('"refused"')
"""
    assert in_child(program) == "refused"


@pytest.mark.root
@as_root
def test_files_made_afterwards_are_the_users_alone() -> None:
    program = """
become(look_up('nobody'))
Path(sys.argv[1]).write_text('x')
print('null')
"""
    with open_directory() as directory:
        directory.chmod(0o777)
        in_child(program, directory / "made")

        found = (directory / "made").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (
        NOBODY.pw_uid,
        NOBODY.pw_gid,
        0o600,
    )


@pytest.mark.root
@as_root
def test_no_core_is_dumped_and_home_is_the_users() -> None:
    program = """
import resource
become(look_up('nobody'))
print(json.dumps([resource.getrlimit(resource.RLIMIT_CORE), os.environ['HOME'], os.environ['USER']]))
"""
    assert in_child(program) == [[0, 0], NOBODY.pw_dir, "nobody"]


@pytest.mark.root
@as_root
def test_way_back_that_exists_is_found_and_refused() -> None:
    """With a set-uid capability kept, the identity would be a costume."""
    program = """
import ctypes
libc = ctypes.CDLL(None)
libc.prctl(28, 0x2f, 0, 0, 0)  # securebits: NO_SETUID_FIXUP and NOROOT, so capabilities stay
try:
    become(look_up('nobody'))
except ConfigError as error:
    print(json.dumps(str(error)))
"""
    assert "could become root again" in in_child(program)


def test_only_root_can_become_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    program = """
if os.geteuid() == 0:
    os.setuid(65534)
try:
    become(Identity('bin', 2, 2, (2,)))
except ConfigError as error:
    print(json.dumps(error.remedy))
"""
    assert "CAP_SETUID" in in_child(program)


def test_user_and_groups_are_looked_up() -> None:
    found = look_up("nobody", "mail")

    assert (found.name, found.uid, found.gid) == ("nobody", NOBODY.pw_uid, 8)
    assert 8 in found.groups
    assert look_up("nobody").gid == NOBODY.pw_gid


@pytest.mark.parametrize(
    ("user", "group", "key"),
    [
        ("no-such-user", "", "user"),
        ("nobody", "no-such-group", "group"),
        ("root", "", "user"),
        ("nobody", "root", "user"),
    ],
)
def test_user_that_will_not_do_is_told_with_its_key(user: str, group: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        look_up(user, group)

    assert caught.value.where == key
    assert caught.value.remedy


def settings(user: str, tmp_path: Path, bind: str = "0.0.0.0:25") -> config.Config:
    listen = {"name": "mx", "kind": "mx", "bind": [bind]}
    raw = {"hostname": "mx.example.org", "user": user, "listen": [listen]}
    return config.parse(raw, tmp_path / "notqmail.toml")


@pytest.mark.root
@as_root
def test_root_becomes_the_configured_user(tmp_path: Path) -> None:
    assert identity(settings("nobody", tmp_path)) == look_up("nobody")


@pytest.mark.root
@as_root
def test_root_without_a_user_to_become_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="started as root") as caught:
        identity(settings("", tmp_path))

    assert caught.value.where == f"{tmp_path}/notqmail.toml: user"


@pytest.mark.root
@as_root
@pytest.mark.parametrize("bind", ["127.0.0.1:2025", "[::1]:2025", "localhost:2025"])
def test_root_may_try_out_what_only_loopback_reaches(tmp_path: Path, bind: str) -> None:
    assert identity(settings("", tmp_path, bind)) is None


def test_ordinary_user_stays_what_it_is(tmp_path: Path) -> None:
    program = """
if os.geteuid() == 0:
    os.setuid(65534)
from notqmail import config
print(json.dumps(identity(config.parse({'hostname': 'mx.example.org'}, Path('/x.toml')))))
"""
    assert in_child(program) is None


def test_open_files_are_raised_to_what_is_allowed() -> None:
    program = """
import resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
print(json.dumps([raise_open_files(), hard]))
"""
    raised, hard = in_child(program)

    assert raised == hard


# -- the data directory -----------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    (data / "blobs").mkdir(parents=True)
    (data / "queue.sqlite").write_text("x")
    return data


WHO = Identity("nobody", NOBODY.pw_uid, NOBODY.pw_gid, (NOBODY.pw_gid,))


@pytest.mark.root
@as_root
def test_data_directory_and_what_is_in_it_are_handed_over(data: Path) -> None:
    hand_over(data, WHO)

    given = [data, data / "blobs", data / "queue.sqlite"]
    assert {(p.stat().st_uid, p.stat().st_gid) for p in given} == {(WHO.uid, WHO.gid)}


@pytest.mark.root
@as_root
def test_what_is_somebody_elses_stays_so(data: Path) -> None:
    os.chown(data / "blobs", 2, 2)

    hand_over(data, WHO)

    assert (data / "blobs").stat().st_uid == 2


@pytest.mark.root
@as_root
def test_file_linked_here_is_not_given_away(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    shadow = data.parent / "shadow"
    shadow.write_text("root's")
    (data / "hard").hardlink_to(shadow)
    (data / "soft").symlink_to(shadow)

    hand_over(data, WHO)

    assert shadow.stat().st_uid == 0
    assert "second name" in caplog.text


@pytest.mark.root
@as_root
def test_pipe_in_the_data_directory_does_not_hold_up_the_start(data: Path) -> None:
    os.mkfifo(data / "pipe")

    hand_over(data, WHO)

    assert (data / "pipe").stat().st_uid == 0


def test_data_directory_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be given to nobody"):
        hand_over(tmp_path / "no", WHO)


@pytest.mark.root
@as_root
def test_accounts_of_root_alone_are_opened_to_the_group(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("alice@example.org -\n")
    users.chmod(0o600)

    let_read(users, look_up("nobody"))

    found = users.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, NOBODY.pw_gid, 0o640)


@pytest.mark.root
@as_root
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_accounts_that_are_open_already_stay_as_they_are(tmp_path: Path, mode: int) -> None:
    users = tmp_path / "users"
    users.write_text("")
    users.chmod(mode)

    let_read(users, look_up("nobody"))

    assert (users.stat().st_gid, users.stat().st_mode & 0o777) == (0, mode)


@pytest.mark.root
@as_root
def test_nothing_is_opened_through_a_link(tmp_path: Path) -> None:
    secret, users = tmp_path / "secret", tmp_path / "users"
    secret.write_text("x")
    secret.chmod(0o600)
    os.link(secret, users)

    let_read(users, look_up("nobody"))
    assert secret.stat().st_mode & 0o777 == 0o600

    users.unlink()
    users.symlink_to(secret)
    with pytest.raises(ConfigError, match="cannot be opened"):
        let_read(users, look_up("nobody"))
    let_read(tmp_path / "none", look_up("nobody"))


@pytest.mark.root
@as_root
def test_a_python_that_the_user_cannot_read_is_named(tmp_path: Path) -> None:
    program = """
import notqmail.system.privileges as privileges
who = look_up('nobody')
hidden = Path(sys.argv[1])
hidden.mkdir(mode=0o700)
os.__file__ = privileges.__file__ = str(hidden / 'os.py')
os.setuid(who.uid)
try:
    privileges.check_python(who)
except ConfigError as error:
    print(json.dumps(str(error)))
"""
    said = in_child(program, tmp_path / "hidden")

    assert f"nobody cannot read {tmp_path}/hidden" in said
    assert "install notqmail where every user can read it" in said
