"""The control socket: who may ask, what an answer looks like, and that nobody can hold it up."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from notqmail.config import Local, Seconds, Size
from notqmail.mail.errors import ConfigError, NotqmailError, SpoolError
from notqmail.queue.operations import OperationError
from notqmail.system.control import (
    AnsweredNoError,
    ControlError,
    ControlServer,
    Operation,
    ServerDownError,
    call,
    stream,
)
from tests.support.local_sockets import speak

LIMITS = Local()

AS_NOBODY = """
import os, socket, sys
os.setgid(65534)
os.setuid(65534)
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(sys.argv[1])
    print(sock.recv(1000).decode())
"""


async def echo(args: Mapping[str, Any]) -> Any:
    return args


async def refuse(args: Mapping[str, Any]) -> Any:
    raise OperationError("there is no such message")


async def fail(args: Mapping[str, Any]) -> Any:
    raise SpoolError("the disk is full")


async def break_down(args: Mapping[str, Any]) -> Any:
    raise KeyError("secret detail")


async def octets(args: Mapping[str, Any]) -> AsyncIterator[bytes]:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a" * (2 << 20)
        yield b""
        yield b"\r\nend"

    return pieces()


async def octets_that_break(args: Mapping[str, Any]) -> AsyncIterator[bytes]:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"half"
        raise NotqmailError("the blob is gone")

    return pieces()


OPERATIONS: Mapping[str, Operation] = {
    "echo": echo,
    "refuse": refuse,
    "fail": fail,
    "break": break_down,
    "octets": octets,
    "octets_that_break": octets_that_break,
}


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory every user can reach, which pytest's are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@asynccontextmanager
async def serving(path: Path, limits: Local = LIMITS) -> AsyncIterator[Path]:
    server = ControlServer(path, OPERATIONS, limits)
    await server.start()
    try:
        yield path
    finally:
        await server.stop()


async def ask(path: Path, op: str, **args: Any) -> Any:
    return await asyncio.to_thread(call, path, op, args, 5.0)


async def test_arguments_arrive_and_the_result_comes_back(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock") as path:
        assert await ask(path, "echo", id="ÄB\n", limit=3) == {"id": "ÄB\n", "limit": 3}


async def test_a_refusal_is_one_sentence(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock") as path:
        with pytest.raises(AnsweredNoError, match=r"^there is no such message$"):
            await ask(path, "refuse")


async def test_a_failure_is_told_from_a_refusal(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock") as path:
        with pytest.raises(ControlError, match="the disk is full") as caught:
            await ask(path, "fail")

    assert not isinstance(caught.value, AnsweredNoError)


async def test_a_bug_is_not_told_to_the_caller(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock") as path:
        with pytest.raises(ControlError, match="its log says why") as caught:
            await ask(path, "break")

    assert "secret" not in str(caught.value)


async def test_an_unknown_operation_is_named(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock") as path:
        with pytest.raises(ControlError, match="does not know 'fly'"):
            await ask(path, "fly")


async def test_octets_come_whole(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock") as path:
        got = await asyncio.to_thread(lambda: b"".join(stream(path, "octets", {}, 5.0)))

    assert got == b"a" * (2 << 20) + b"\r\nend"


async def test_octets_cut_short_are_not_taken_for_whole(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock") as path:
        with pytest.raises(ControlError, match="ended early"):
            await asyncio.to_thread(list, stream(path, "octets_that_break", {}, 5.0))


async def test_a_value_is_not_taken_for_octets(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock") as path:
        with pytest.raises(ControlError, match="not what was asked for"):
            await asyncio.to_thread(list, stream(path, "echo", {}, 5.0))


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"\xff\xfe", b'{"op": 1}', b'{"op": "echo", "x": 1}', b"[" * 5000]
)
async def test_what_is_no_request_is_refused(tmp_path: Path, line: bytes) -> None:
    async with serving(tmp_path / "control.sock") as path:
        answer = json.loads(await speak(path, line + b"\n"))

    assert answer["ok"] is False
    assert "not in the form" in answer["error"]


async def test_a_request_over_the_limit_is_refused(tmp_path: Path) -> None:
    limits = Local(request=Size(1000))
    async with serving(tmp_path / "control.sock", limits) as path:
        answer = json.loads(await speak(path, b"x" * 5000 + b"\n"))

    assert "longer than 1000 octets" in answer["error"]


async def test_silence_is_ended(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock", Local(timeout=Seconds(0.01))) as path:
        answer = json.loads(await speak(path, b""))

    assert answer["error"] == "no request came"


async def test_callers_over_the_limit_are_told_so(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock", Local(connections=1)) as path:
        _, first = await asyncio.open_unix_connection(path)
        answer = json.loads(await speak(path, b'{"op": "echo"}\n'))
        first.close()
        await first.wait_closed()

    assert "too many" in answer["error"]


async def test_a_caller_that_hangs_up_does_no_harm(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock") as path:
        for sent in (b"", b'{"op"', b'{"op": "octets"}\n'):
            _, writer = await asyncio.open_unix_connection(path)
            writer.write(sent)
            writer.transport.abort()

        assert await ask(path, "echo") == {}


async def test_only_its_user_can_connect(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock") as path:
        mode = stat.S_IMODE(path.stat().st_mode)

    assert mode == 0o600


@pytest.mark.root
async def test_another_user_is_refused_even_when_the_file_lets_it_in(open_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    async with serving(open_path / "control.sock") as path:
        path.chmod(0o666)
        said = await asyncio.create_subprocess_exec(
            sys.executable, "-c", AS_NOBODY, str(path), stdout=subprocess.PIPE
        )
        out, _ = await said.communicate()

    assert b"only root and the user the server runs as" in out


def test_nobody_listening_is_known_as_such(tmp_path: Path) -> None:
    with pytest.raises(ServerDownError, match="no server runs"):
        call(tmp_path / "control.sock", "echo", {})


def test_a_file_that_cannot_be_reached_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ControlError, match="be root or the user it runs as"):
        call(tmp_path / "file" / "control.sock", "echo", {})


async def test_the_file_of_a_dead_server_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))

    async with serving(tmp_path / "control.sock") as path:
        assert await ask(path, "echo") == {}


async def test_a_second_server_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock") as path:
        with pytest.raises(ConfigError, match="another server answers here; stop it first"):
            await ControlServer(path, OPERATIONS, LIMITS).start()

        assert await ask(path, "echo") == {}


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("somebody's notes")

    with pytest.raises(ConfigError, match="no socket; move it away"):
        await ControlServer(path, OPERATIONS, LIMITS).start()

    assert path.read_text() == "somebody's notes"


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="make data_dir writable"):
        await ControlServer(tmp_path / "none" / "control.sock", OPERATIONS, LIMITS).start()


async def test_a_path_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    async with serving(deep / "control.sock") as path:
        assert await ask(path, "echo") == {}


async def test_the_file_goes_with_the_server(tmp_path: Path) -> None:
    async with serving(tmp_path / "control.sock") as path:
        pass

    assert not path.exists()


async def test_stopping_ends_a_silent_caller(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "control.sock", OPERATIONS, LIMITS)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "control.sock")
    await ask(tmp_path / "control.sock", "echo")  # accepted in order: the silent one is in

    await server.stop()

    assert await reader.read() == b""
    writer.close()
