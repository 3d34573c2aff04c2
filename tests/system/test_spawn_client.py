"""The spawn helper as a process of its own, and what the programs that it runs can do wrong."""

import asyncio
import json
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from notqmail.config import Auth, Checkpassword, Config, Seconds
from notqmail.mail.errors import AuthUnavailableError, ConfigError
from notqmail.mail.login import Attempt
from notqmail.system.auth_checkpassword import CheckpasswordAuthenticator
from notqmail.system.auth_system import SystemAuthenticator
from notqmail.system.shadow import Files
from notqmail.system.spawn import (
    CANNOT_RUN,
    CHECKPASSWORD,
    MAX_BODY,
    NOT_ALLOWED,
    SYSTEM,
    TEMPORARY,
    TIMED_OUT,
    TOO_MANY,
)
from notqmail.system.spawn_client import Powers, SpawnClient, words
from tests.support.waiting import wait_until

PROGRAM = Path(__file__).parents[1] / "support" / "checkpassword.py"
ATTEMPT = Attempt("2001:db8::7", "192.0.2.1")
BODY = b"192.0.2.7\0\0alice\0sesame\0\0"
SHADOW = "alice:$1$saltsalt$J3RStOYaRn/5Iz9DGbAnx1:19000:0:99999:7:::\n"  # sesame


@asynccontextmanager
async def helping(powers: Powers) -> AsyncIterator[SpawnClient]:
    client = await asyncio.to_thread(SpawnClient.start, powers)
    try:
        yield client
    finally:
        await client.close()


def shell(script: str, *, timeout: float = 20, commands: int = 10) -> Powers:
    """A helper whose checkpassword program is a shell script."""
    return Powers(("/bin/sh", "-c", script), command_timeout=timeout, commands=commands)


async def test_program_of_qmails_interface_decides(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts"
    accounts.write_text("alice:sesame\nдима:пароль\n")
    command = (sys.executable, "-I", "-S", str(PROGRAM), str(accounts), "/bin/true")
    config = Checkpassword(command=command, timeout=Seconds(20))

    async with helping(Powers(command)) as helper:
        source = CheckpasswordAuthenticator(config, "example.org", helper, 100)
        asked = [("alice", "sesame"), ("alice", "wrong"), ("bob", "x"), ("дима", "пароль")]
        logins = await asyncio.gather(*(source.password(*each, ATTEMPT) for each in asked))
        accounts.unlink()
        with pytest.raises(AuthUnavailableError, match="status 111"):
            await source.password("alice", "sesame", ATTEMPT)

    assert [login and str(login) for login in logins] == ["alice", None, None, "дима"]


async def test_program_finds_secrets_addresses_and_nothing_else(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    os.environ["NOTQMAIL_TEST_SECRET"] = "x"
    script = f"{{ cat <&3; echo; env; ls /proc/self/fd; pwd; umask; }} >{seen}; cat; exit 1"

    async with helping(shell(script)) as helper:
        status = await helper.ask(CHECKPASSWORD, BODY)

    del os.environ["NOTQMAIL_TEST_SECRET"]
    secrets, *lines = seen.read_bytes().split(b"\n")
    assert status == 1
    assert secrets == b"alice\0sesame\0\0"
    assert {b"PROTO=TCP", b"TCPREMOTEIP=192.0.2.7", b"/", b"0077"} <= set(lines)
    assert b"NOTQMAIL" not in seen.read_bytes()
    assert b"TCPLOCALIP" not in seen.read_bytes()
    assert {int(line) for line in lines if line.isdigit() and len(line) < 4} <= set(range(5))


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 2", 2),
        ("exit 111", TEMPORARY),
        ("kill -9 $$", -signal.SIGKILL),
        ("kill -15 $$", -signal.SIGTERM),
        ("kill -2 $$", -signal.SIGINT),
        ("exec /nonexistent/program", 127),
        ("exec 3<&-; exit 1", 1),
        ("head -c 3 <&3 >/dev/null; exit 0", 0),
    ],
)
async def test_status_is_how_the_program_ended(script: str, status: int) -> None:
    async with helping(shell(script)) as helper:
        assert await helper.ask(CHECKPASSWORD, BODY) == status
        assert await helper.ask(CHECKPASSWORD, BODY) == status  # the next client is served


@pytest.mark.parametrize("program", ["/nonexistent/checkpassword", "/etc/passwd", "/"])
async def test_program_that_cannot_be_run_is_said_to_be(program: str) -> None:
    async with helping(Powers((program, "/bin/true"))) as helper:
        assert await helper.ask(CHECKPASSWORD, BODY) == CANNOT_RUN


async def test_program_that_hangs_is_killed_with_its_group_and_the_next_one_runs(
    tmp_path: Path,
) -> None:
    pids = tmp_path / "pids"
    script = f"[ -e {pids} ] && exit 0; trap '' TERM; sleep 600 & echo $! $$ >{pids}; wait"

    async with helping(shell(script, timeout=2, commands=1)) as helper:
        first = helper.ask(CHECKPASSWORD, BODY)
        assert await first == TIMED_OUT
        assert await helper.ask(CHECKPASSWORD, BODY) == 0

    await wait_all_gone(pids)


async def test_daemon_that_a_program_leaves_behind_is_not_waited_for(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 600 <&3 3<&3 & echo $! >{pids}; exit 1"

    async with helping(shell(script)) as helper:
        assert await helper.ask(CHECKPASSWORD, BODY) == 1

        await wait_all_gone(pids)


async def test_more_than_may_run_at_once_are_not_started(tmp_path: Path) -> None:
    go = tmp_path / "go"

    async with helping(shell(f"until [ -e {go} ]; do sleep 0.02; done", commands=2)) as helper:
        running = [helper.ask(CHECKPASSWORD, BODY) for _ in range(2)]
        assert await helper.ask(CHECKPASSWORD, BODY) == TOO_MANY
        assert not any(each.done() for each in running)

        go.touch()
        assert [await each for each in running] == [0, 0]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        (SYSTEM, b"alice\0sesame\0", NOT_ALLOWED),
        (0, b"", NOT_ALLOWED),
        (255, b"x", NOT_ALLOWED),
        (CHECKPASSWORD, b"", TEMPORARY),
        (CHECKPASSWORD, b"\0\0alice\0sesame\0", TEMPORARY),
        (CHECKPASSWORD, b"\0\0alice\0sesame\0\0x", TEMPORARY),
        (CHECKPASSWORD, b"\0\0alice\0sesame\0\0\0", TEMPORARY),
        (CHECKPASSWORD, b"\0\0alice\0" + b"x" * 505 + b"\0\0", TEMPORARY),
        (CHECKPASSWORD, b"$(id)\0\0alice\0sesame\0\0", TEMPORARY),
        (CHECKPASSWORD, b"\xff\0\0alice\0sesame\0\0", TEMPORARY),
    ],
)
async def test_request_outside_the_form_runs_nothing(
    tmp_path: Path, kind: int, body: bytes, status: int
) -> None:
    async with helping(shell(f"touch {tmp_path}/ran; exit 0")) as helper:
        assert await helper.ask(kind, body) == status
        assert not (tmp_path / "ran").exists()
        assert await helper.ask(CHECKPASSWORD, BODY) == 0


def test_event_loop_of_the_server_can_ask_it() -> None:
    helper = SpawnClient.start(shell("exit 1"))

    async def ask() -> list[int]:
        answers = [helper.ask(CHECKPASSWORD, BODY) for _ in range(10)]
        statuses = [await answer for answer in answers]
        await helper.close()
        return statuses

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        statuses = runner.run(ask())

    assert statuses == [1] * 10


async def test_request_that_is_too_long_ends_the_helper() -> None:
    async with helping(shell("exit 0")) as helper:
        with pytest.raises(AuthUnavailableError):
            await helper.ask(CHECKPASSWORD, b"x" * (MAX_BODY + 1))


async def test_command_cannot_be_run_where_none_is_configured(tmp_path: Path) -> None:
    async with helping(Powers(system=True, files=machine(tmp_path))) as helper:
        assert await helper.ask(CHECKPASSWORD, BODY) == NOT_ALLOWED


def machine(directory: Path) -> Files:
    """The files of a machine with root and alice."""
    files = {"passwd": "alice:x:1000:1000::/:/usr/sbin/nologin\n", "shadow": SHADOW, "defs": ""}
    for name, text in files.items():
        (directory / name).write_text(text)
    return Files(*(str(directory / name) for name in files))


async def test_helper_checks_passwords_of_system_users(tmp_path: Path) -> None:
    files = machine(tmp_path)
    powers = Powers(system=True, files=files)

    async with helping(powers) as helper:
        source = SystemAuthenticator(Auth().system, "example.org", helper, 2, 100)
        asked = [
            ("alice", "sesame"),
            ("alice", "x"),
            ("root", "x"),
            ("alice@example.org", "sesame"),
        ]
        logins = await asyncio.gather(*(source.password(*each, ATTEMPT) for each in asked))
        Path(files.shadow).unlink()
        with pytest.raises(AuthUnavailableError, match="status 111"):
            await source.password("alice", "sesame", ATTEMPT)

    assert [login and str(login) for login in logins] == ["alice", None, None, "alice"]


def test_passwords_that_nobody_can_read_are_found_missing_at_the_start(tmp_path: Path) -> None:
    powers = Powers(system=True, files=Files(shadow=str(tmp_path / "shadow")))

    with pytest.raises(ConfigError, match="cannot be read; start as root"):
        SpawnClient.start(powers)


async def test_helper_ends_with_the_server_and_with_all_it_has_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with helping(shell(f"echo $$ >{pids}; exec sleep 600")) as helper:
        answer = helper.ask(CHECKPASSWORD, BODY)
        await asyncio.to_thread(wait_until, lambda: bool(read(pids)), 20, lambda: "not started")

    await wait_all_gone(pids)
    assert not alive(helper.pid)
    with pytest.raises(AuthUnavailableError, match="has ended"):
        await answer
    with pytest.raises(AuthUnavailableError):
        helper.ask(CHECKPASSWORD, BODY)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
async def test_signal_that_is_meant_for_the_server_does_not_end_it(number: signal.Signals) -> None:
    async with helping(shell("exit 0")) as helper:
        os.kill(helper.pid, number)

        assert await helper.ask(CHECKPASSWORD, BODY) == 0


async def test_helper_that_is_killed_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    async with helping(shell("exec sleep 600")) as helper:
        answer = helper.ask(CHECKPASSWORD, BODY)
        os.kill(helper.pid, signal.SIGKILL)

        with pytest.raises(AuthUnavailableError, match="has ended"):
            await answer
        for _ in range(2):
            with pytest.raises(AuthUnavailableError):
                helper.ask(CHECKPASSWORD, BODY)

    assert caplog.text.count("the spawn helper has ended") == 1


async def test_helper_has_no_terminal_no_core_files_and_few_descriptors() -> None:
    async with helping(shell("exit 0")) as helper:
        limits = Path(f"/proc/{helper.pid}/limits").read_text()
        session = os.getsid(helper.pid)

    assert session == helper.pid
    for line, value in (("Max core file size", "0"), ("Max open files", "256")):
        assert any(
            each.startswith(line) and each.split()[-3] == value for each in limits.splitlines()
        )


DROPPED = """
import asyncio, json, os, sys
from pathlib import Path
from notqmail.system.privileges import become, look_up
from notqmail.system.spawn import CHECKPASSWORD, SYSTEM
from notqmail.system.spawn_client import Powers, SpawnClient

helper = SpawnClient.start(Powers(("/bin/sh", "-c", "exit $(id -u)"), system=True))
become(look_up("nobody"))

async def ask():
    status = await helper.ask(CHECKPASSWORD, b"\\0\\0alice\\0x\\0\\0")
    unknown = await helper.ask(SYSTEM, b"no.such.user\\0x\\0")
    return [status, unknown]

def refused(function, *args):
    try:
        function(*args)
    except PermissionError:
        return True
    return False

answers = asyncio.run(ask())
may_not = [refused(os.kill, helper.pid, 9), refused(open, "/etc/shadow"),
           refused(os.listdir, f"/proc/{helper.pid}/fd")]
print(json.dumps([os.geteuid(), answers, may_not, helper.pid]), flush=True)
os._exit(0)
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
def test_helper_keeps_the_rights_that_the_server_has_given_up() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", DROPPED], capture_output=True, check=True, timeout=60, cwd="/"
    )

    uid, answers, may_not, helper = json.loads(ran.stdout)
    assert uid == pwd.getpwnam("nobody").pw_uid
    assert answers == [0, 1]  # root ran the command, and looked into /etc/shadow
    assert may_not == [True, True, True]
    wait_until(lambda: not alive(helper), 20, lambda: "it outlives the server")


def test_nothing_is_started_for_sources_that_need_no_helper() -> None:
    config = Config(hostname="mx.example.org")

    assert not Powers.of(config)


@pytest.mark.parametrize("source", ["checkpassword", "system"])
def test_powers_are_those_of_the_configured_sources(source: str) -> None:
    command = Checkpassword(command=("/bin/checkpassword", "/bin/true"), timeout=Seconds(3))
    auth = Auth(sources=("users", source), checkpassword=command)  # type: ignore[arg-type]

    powers = Powers.of(Config(hostname="mx.example.org", auth=auth))

    assert powers
    assert bool(powers.command) is (source == "checkpassword")
    assert powers.system is (source == "system")
    assert powers.command_timeout == 3


@pytest.mark.parametrize("python", ["/bin/false", "/nonexistent/python"])
def test_helper_that_does_not_start_is_an_error_of_the_configuration(python: str) -> None:
    with pytest.raises(ConfigError, match="the spawn helper cannot be started"):
        SpawnClient.start(Powers(("/bin/true",)), python)


@pytest.mark.parametrize(
    ("status", "text"),
    [(3, "ended with status 3"), (-9, "was killed by signal 9"), (NOT_ALLOWED, "not allowed")],
)
def test_status_is_said_in_words(status: int, text: str) -> None:
    assert words(status).startswith(text)


def read(pids: Path) -> list[int]:
    try:
        return [int(word) for word in pids.read_text().split()]
    except FileNotFoundError:
        return []


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


async def wait_all_gone(pids: Path) -> None:
    found = read(pids)
    assert found
    await asyncio.to_thread(
        wait_until, lambda: not any(map(alive, found)), 20, lambda: f"still there: {found}"
    )
