"""Passwords of system users, on files of our own."""

from pathlib import Path

import pytest

from notqmail.system.shadow import Files, check

# crypt("sesame", …) as mkpasswd(1) gives it
SHA512 = "$6$rounds=1000$saltsalt$5Oji4y.RQw4TBqlwXcGLBsxSL7.Pw5hdIpFnzMJTl.OaKsU3EiPTP5NseI3oKDT8iioErVqshwXGd40hlWBLx1"
YESCRYPT = "$y$j75$saltsaltsalt$5z4hixMqZu85Q.FImGPyeqhaItXFcGCWgGmHtxl/3c9"
MD5 = "$1$saltsalt$J3RStOYaRn/5Iz9DGbAnx1"
TODAY = 20_000  # days since 1970


class Machine:
    """passwd, shadow and login.defs of a machine."""

    def __init__(self, directory: Path) -> None:
        self._passwd, self._shadow = directory / "passwd", directory / "shadow"
        self._defs = directory / "login.defs"
        self.files = Files(str(self._passwd), str(self._shadow), str(self._defs))
        self._passwd.write_text("root:x:0:0:root:/root:/bin/sh\n\n# odd\nbroken:line\n")
        self._shadow.write_text(f"root:{SHA512}:19000:0:99999:7:::\nbroken:line\n\n")

    def add(
        self,
        name: str = "alice",
        hash: str = SHA512,
        aging: str = "19000:0:99999:7:::",
        uid: str = "1000",
        shell: str = "/bin/sh",
    ) -> None:
        with self._passwd.open("a") as passwd, self._shadow.open("a") as shadow:
            passwd.write(f"{name}:x:{uid}:100::/home/{name}:{shell}\n")
            shadow.write(f"{name}:{hash}:{aging}\n")

    def define(self, text: str) -> None:
        self._defs.write_text(text)

    def check(self, name: str = "alice", password: str = "sesame") -> bool:
        return check(name.encode(), password.encode(), self.files, TODAY)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("hash", [SHA512, YESCRYPT, MD5])
def test_right_password_is_right_however_it_is_hashed(machine: Machine, hash: str) -> None:
    machine.add(hash=hash)

    assert machine.check()
    assert not machine.check(password="sesam")
    assert not machine.check(password="")
    assert not machine.check("bob")


def test_shell_does_not_matter(machine: Machine) -> None:
    machine.add(shell="/usr/sbin/nologin")

    assert machine.check()


@pytest.mark.parametrize("hash", ["", "!", "*", "!!", "x", "!" + SHA512, "*LK*" + SHA512, "$9$x$y"])
def test_account_without_a_usable_hash_is_refused(machine: Machine, hash: str) -> None:
    machine.add(hash=hash)

    assert not machine.check()
    assert not machine.check(password="")


def test_hash_that_crypt_does_not_know_fits_no_password(machine: Machine) -> None:
    machine.add(hash="$99$" + "x" * 40)

    assert not machine.check()


@pytest.mark.parametrize(
    ("aging", "may"),
    [
        (":::::::"[1:], True),
        ("19000:0:99999:7:::", True),
        ("19990:0:30:7:::", True),
        ("19970:0:30:7:::", True),
        ("19969:0:30:7:::", False),
        ("19900:0:30:7:60::", False),
        ("0:0:99999:7:::", False),
        ("19000:0:99999:7::20001:", True),
        ("19000:0:99999:7::20000:", False),
        ("19000:0:99999:7::0:", False),
        ("19000:0:99999:7::1:", False),
        ("x:0:y:7::z:", True),
    ],
)
def test_account_and_password_may_run_out(machine: Machine, aging: str, may: bool) -> None:
    machine.add(aging=aging)

    assert machine.check() is may


@pytest.mark.parametrize("uid", ["0", "1", "999", "60001", "65534", "-1", "", "x", "00"])
def test_only_people_log_in(machine: Machine, uid: str) -> None:
    machine.add(uid=uid)

    assert not machine.check()
    assert not machine.check("root")


def test_second_line_of_a_name_cannot_make_root_a_person(machine: Machine) -> None:
    machine.add("root", uid="1000")

    assert not machine.check("root")


def test_login_defs_says_who_is_a_person(machine: Machine) -> None:
    machine.add(uid="500")
    machine.define("# UID_MIN 100\nUID_MIN\t\t  400\n UID_MAX 600\nUID_MAXIMUM 1\n")

    assert machine.check()

    machine.define("UID_MIN 501\n")
    assert not machine.check()


def test_root_is_nobody_even_where_ids_begin_at_zero(machine: Machine) -> None:
    machine.define("UID_MIN 0\n")

    assert not machine.check("root")


def test_person_without_a_line_in_shadow_is_refused(machine: Machine) -> None:
    machine.add()
    Path(machine.files.shadow).write_text(f"root:{SHA512}:19000:0:99999:7:::\n")

    assert not machine.check()


def test_machine_without_any_hash_refuses(machine: Machine) -> None:
    Path(machine.files.shadow).write_text("")

    assert not machine.check()


@pytest.mark.parametrize("name", ["passwd", "shadow"])
def test_file_that_cannot_be_read_is_an_error(machine: Machine, name: str) -> None:
    machine.add()
    Path(getattr(machine.files, name)).unlink()

    with pytest.raises(OSError, match=name):
        machine.check()


def test_long_password_is_refused(machine: Machine) -> None:
    machine.add()

    assert not machine.check(password="x" * 1024)
