"""Listeners on real sockets of loopback: bound with a remedy, served, reloaded, drained."""

import asyncio
import contextlib
import errno
import os
import resource
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
import uvloop

from notqmail.config import Limits, Size
from notqmail.mail.errors import ConfigError
from notqmail.smtpd.listener import BACKLOG, Listener, bind
from tests.support import smtp_stream as stream
from tests.support.smtp_stream import StreamClient
from tests.support.smtpd import Intake, service

KEY = "notqmail.toml: listen[0].bind"


def connected(sock: socket.socket) -> contextlib.AbstractAsyncContextManager[StreamClient]:
    """Connect to a listening socket."""
    host, port = sock.getsockname()[:2]
    return stream.connected(port, host)


@contextlib.asynccontextmanager
async def serving(
    *binds: str, **options: Any
) -> AsyncIterator[tuple[Listener, Sequence[socket.socket]]]:
    sockets = bind(binds or ("127.0.0.1:0",), KEY)
    listener = Listener(service(**options), sockets)
    await listener.serve()
    try:
        yield listener, sockets
    finally:
        await listener.stop(0)


# binding


def refusal(*binds: str) -> str:
    with pytest.raises(ConfigError) as refused:
        bind(binds, KEY)
    assert refused.value.where == KEY
    return str(refused.value)


@pytest.fixture
def busy() -> Iterator[str]:
    """An address that somebody listens on."""
    [sock] = bind(["127.0.0.1:0"], KEY)
    with sock:
        yield f"127.0.0.1:{sock.getsockname()[1]}"


def test_a_busy_port_is_refused_with_the_remedy(busy: str) -> None:
    said = refusal(busy)

    assert f"cannot listen on {busy}: Address already in use" in said
    assert said.endswith("stop it, or choose another in `bind`")


def test_an_address_of_another_machine_is_refused_with_the_remedy() -> None:
    said = refusal("192.0.2.1:0")

    assert "192.0.2.1:0: Cannot assign requested address" in said
    assert said.endswith("this machine does not have this address: correct `bind`")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM])
def test_a_privileged_port_is_refused_with_the_remedy(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(socket.socket, "bind", refuse)  # what root's tests cannot see otherwise

    assert "start as root with `user` set, or choose a higher port" in refusal("127.0.0.1:25")


class NoIPv6(socket.socket):
    """A socket on a kernel without IPv6."""

    def __init__(self, family: int = -1, *args: Any, **options: Any) -> None:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        super().__init__(family, *args, **options)


def test_a_machine_without_ipv6_is_told_so_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", NoIPv6)

    assert "this machine has no IPv6: take the address out of `bind`" in refusal("[::1]:0")


def test_when_one_address_is_refused_none_stays_bound(busy: str) -> None:
    [sock] = bind(["127.0.0.1:0"], KEY)
    free = f"127.0.0.1:{sock.getsockname()[1]}"
    sock.close()

    refusal(free, busy)

    [again] = bind([free], KEY)
    again.close()


def test_a_port_is_taken_when_it_is_bound_not_only_when_it_is_served(busy: str) -> None:
    host, port = busy.split(":")

    with socket.create_connection((host, int(port))):  # waits in the backlog
        pass


def test_sockets_have_a_backlog_for_a_rush_and_no_delay_for_replies() -> None:
    [sock] = bind(["127.0.0.1:0"], KEY)
    with sock:
        assert BACKLOG >= 1024
        assert sock.proto == socket.IPPROTO_TCP  # asyncio sets TCP_NODELAY only then
        assert not sock.getblocking()


# serving


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")


@needs_ipv6
async def test_one_listener_serves_ipv4_and_ipv6() -> None:
    async with serving("127.0.0.1:0", "[::1]:0") as (listener, sockets):
        assert [sock.family for sock in sockets] == [socket.AF_INET, socket.AF_INET6]
        for sock in sockets:
            async with connected(sock) as client:
                assert await client.reply() == "220 mx.example.org ESMTP notqmail"
                assert len(listener.registry) == 1
                assert await client.say(b"QUIT\r\n") == "221 2.0.0 bye"
                assert await client.reply() == ""


@needs_ipv6
def test_an_ipv6_socket_leaves_ipv4_alone() -> None:
    [six] = bind(["[::]:0"], KEY)
    with six:
        [four] = bind([f"0.0.0.0:{six.getsockname()[1]}"], KEY)
        four.close()


async def test_a_reload_is_for_new_connections() -> None:
    async with serving() as (listener, [sock]), connected(sock) as old:
        await old.reply()

        listener.reload(service(limits=Limits(message=Size(4096), connections_per_ipv4=2)))

        async with connected(sock) as new, connected(sock) as third:
            assert await new.reply() == "220 mx.example.org ESMTP notqmail"
            assert (await third.reply())[:9] == "421 4.7.0"
            await new.say(b"EHLO c.example\r\n")
            await old.say(b"EHLO c.example\r\n")
            too_much = b"MAIL FROM:<> SIZE=5000\r\n"
            assert (await new.say(too_much))[:9] == "552 5.3.4"
            assert (await old.say(too_much))[:9] == "250 2.1.0"


# the end


async def test_a_closed_listener_takes_nobody_and_serves_who_is_in() -> None:
    intake = Intake()
    async with serving(intake=intake) as (listener, [sock]), connected(sock) as client:
        await client.reply()
        address = sock.getsockname()

        listener.close()

        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        await client.address()
        assert (await client.say(b"hello\r\n.\r\n"))[:9] == "250 2.0.0"
        assert len(intake.accepted) == 1


async def test_a_drain_after_close_lets_a_message_finish_and_ends_the_idle() -> None:
    intake = Intake()
    async with serving(intake=intake) as (listener, [sock]):
        async with connected(sock) as idle, connected(sock) as busy:
            assert await idle.reply()
            assert await busy.reply()
            await busy.address()
            listener.close()

            stopping = asyncio.create_task(listener.stop(30))
            assert (await idle.reply())[:9] == "421 4.3.2"
            assert await idle.reply() == ""
            assert (await busy.say(b"hello\r\n.\r\n"))[:9] == "250 2.0.0"
            assert (await busy.reply())[:9] == "421 4.3.2"
            await stopping

        assert sock.fileno() == -1
        assert len(listener.registry) == 0
        assert len(intake.accepted) == 1


async def test_who_is_still_in_the_backlog_at_the_end_is_not_left_hanging() -> None:
    [sock] = bind(["127.0.0.1:0"], KEY)
    listener = Listener(service(), [sock])
    async with connected(sock) as client:
        await listener.serve()
        await listener.stop(0)

        assert (await client.reply())[:3] in ("", "421")


async def test_abort_cuts_every_connection() -> None:
    async with serving() as (listener, [sock]), connected(sock) as client:
        await client.reply()

        listener.abort()

        assert await client.reply() == ""


# no file descriptor left


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Let this process open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _heard(sock: socket.socket) -> str:
    with contextlib.suppress(ConnectionResetError):
        return (await asyncio.get_running_loop().sock_recv(sock, 1000)).decode()
    return ""


def _connect(client: socket.socket, listening: socket.socket) -> None:
    client.connect(listening.getsockname())  # at once: the backlog takes it
    client.setblocking(False)


async def _with_no_descriptor_left() -> Sequence[str]:
    with socket.socket() as before, socket.socket() as during, socket.socket() as after:
        async with serving() as (_, [sock]):
            _connect(before, sock)
            said = [await _heard(before)]
            _connect(during, sock)
            with no_descriptor_left():
                said.append(await _heard(during))
                before.send(b"NOOP\r\n")
                said.append(await _heard(before))
            _connect(after, sock)
            return [*said, await _heard(after)]


def test_without_a_descriptor_who_comes_is_sent_away_and_the_listener_goes_on() -> None:
    """accept fails with EMFILE. On uvloop, as the server runs: asyncio's own loop waits a second instead."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        said = runner.run(_with_no_descriptor_left())

    banner = "220 mx.example.org ESMTP notqmail\r\n"
    assert said == [banner, "", "250 2.0.0 ok\r\n", banner]
