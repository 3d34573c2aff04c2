"""Which IP addresses are this machine's."""

import errno
import socket
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from notqmail.system.addresses import is_ours


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    is_ours.cache_clear()
    yield
    is_ours.cache_clear()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9", "::ffff:127.0.0.1"])
def test_loopback_is_ours(address: str) -> None:
    assert is_ours(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["192.0.2.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "ff02::1", "2001:db8::1"],
)
def test_what_nobody_here_would_receive_is_not_ours(address: str) -> None:
    assert not is_ours(ip_address(address))


def test_a_moment_without_descriptors_is_not_remembered_as_a_no(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class NoneLeft(socket.socket):
        def __init__(self, *_: object) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as short:
        short.setattr(socket, "socket", NoneLeft)
        with pytest.raises(OSError, match="Too many"):
            is_ours(ip_address("127.0.0.1"))

    assert is_ours(ip_address("127.0.0.1"))
