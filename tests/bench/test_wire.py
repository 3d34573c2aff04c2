"""The small client of the bench."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.bench.peer import Failed
from tests.bench.wire import Wire


@contextmanager
def said(octets: bytes) -> Iterator[tuple[Wire, socket.socket]]:
    """A wire whose other end has said something already and says no more."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as ours,
        listener.accept()[0] as theirs,
    ):
        theirs.sendall(octets)
        theirs.shutdown(socket.SHUT_WR)
        yield Wire(ours), theirs


def test_a_reply_ends_with_the_line_that_has_no_hyphen() -> None:
    with said(b"250-one\r\n250-two\r\n250 three\r\n220 next\r\n") as (wire, _):
        wire.ask("EHLO x", "250")

        wire.expect("220")


def test_what_comes_after_a_reply_is_left() -> None:
    with said(b"220 go ahead\r\n250 injected\r\n") as (wire, _):
        wire.ask("STARTTLS", "220")

        assert wire.left == b"250 injected\r\n"


def test_another_code_is_a_failure_that_quotes_the_reply() -> None:
    with (
        said(b"452 4.3.1 full\r\n") as (wire, _),
        pytest.raises(Failed, match=r"^the answer to MAIL was '452 4\.3\.1 full'$"),
    ):
        wire.ask("MAIL", "250")


def test_a_server_that_hangs_up_is_a_failure() -> None:
    with (
        said(b"250-half a re") as (wire, _),
        pytest.raises(Failed, match="the server hung up after EHLO x"),
    ):
        wire.ask("EHLO x", "250")


def test_a_transaction_sends_envelope_content_and_dot() -> None:
    with said(b"250 ok\r\n250 ok\r\n354 go on\r\n250 taken\r\n") as (wire, theirs):
        wire.transaction("a@one.example", "b@two.example", b"Subject: x\r\n\r\ny\r\n")

        assert theirs.recv(4096) == (
            b"MAIL FROM:<a@one.example>\r\nRCPT TO:<b@two.example>\r\nDATA\r\nSubject: x\r\n\r\ny\r\n.\r\n"
        )
