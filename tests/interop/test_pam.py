"""Logins through the real libpam and python-pam, with a service file of our own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pam import private_pam
from tests.support.programs import ROOT

pytestmark = pytest.mark.interop

SERVICE = """\
auth [success=1 default=ignore] pam_exec.so quiet expose_authtok {script}
auth requisite pam_deny.so
auth required pam_permit.so
account [success=1 default=ignore] pam_exec.so quiet {script}.account
account requisite pam_deny.so
account required pam_permit.so
"""
BROKEN = "auth required pam_that_is_missing.so\naccount required pam_permit.so\n"
CHECK = """\
#!/bin/sh
case "$PAM_USER:$(tr -d '\\000')" in
alice:sesame | expired:sesame | дима:пароль) exit 0 ;;
esac
exit 1
"""
ACCOUNT = "#!/bin/sh\n[ $PAM_USER != expired ]\n"
LOGINS = """
import asyncio, json, sys
from notqmail.config import Pam, Seconds
from notqmail.mail.errors import AuthUnavailableError
from notqmail.mail.login import Attempt
from notqmail.system.auth_pam import PamAuthenticator

async def main():
    source = PamAuthenticator(Pam(service=sys.argv[1], timeout=Seconds(30)), "example.org", 100)
    async def one(user, password):
        try:
            login = await source.password(user, password, Attempt("127.0.0.1"))
        except AuthUnavailableError:
            return "unavailable"
        return login and login.account
    asked = json.loads(sys.argv[2])
    print(json.dumps(await asyncio.gather(*(one(*each) for each in asked))))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    script = tmp_path_factory.mktemp("pam") / "check"
    for path, text in ((script, CHECK), (script.with_name("check.account"), ACCOUNT)):
        path.write_text(text)
        path.chmod(0o755)
    with private_pam({"mail": SERVICE.format(script=script), "broken": BROKEN}) as library:
        yield library


def log_in(library: Path, *asked: tuple[str, str], service: str = "mail") -> object:
    ran = subprocess.run(
        [sys.executable, "-c", LOGINS, service, json.dumps(asked)],
        env=os.environ | {"LD_LIBRARY_PATH": str(library)},
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ran.stderr == b""  # neither python-pam nor a module has anything to say there
    return json.loads(ran.stdout)


def test_pam_decides(library: Path) -> None:
    asked = [
        ("alice", "sesame"),
        ("alice", "wrong"),
        ("bob", "sesame"),
        ("alice@example.org", "sesame"),
    ]

    assert log_in(library, *asked, ("дима", "пароль")) == ["alice", None, None, "alice", "дима"]


def test_many_at_once_each_get_their_own_answer(library: Path) -> None:
    asked = [("alice", "sesame"), ("alice", "wrong")] * 10

    assert log_in(library, *asked) == ["alice", None] * 10


def test_account_that_has_expired_does_not_log_in(library: Path) -> None:
    assert log_in(library, ("expired", "sesame")) == [None]


@pytest.mark.parametrize("service", ["broken", "missing"])
def test_pam_that_is_not_set_up_can_tell_of_nobody(library: Path, service: str) -> None:
    assert log_in(library, ("alice", "sesame"), service=service) == ["unavailable"]


def test_root_does_not_log_in(library: Path) -> None:
    assert log_in(library, ("root", "sesame")) == [None]
