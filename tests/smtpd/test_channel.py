"""TLS over memory."""

import ssl
from pathlib import Path

import pytest

from notqmail.smtpd.channel import FED, TlsChannel
from tests.support.key_updates import KeyUpdater
from tests.support.tls_client import OneCertificate, TlsClient


class Pipe:
    """Brings octets to a channel, and keeps what the channel wants to send."""

    def __init__(self, tls: OneCertificate) -> None:
        self.channel = TlsChannel(tls)
        self.written = b""
        self.heard = b""

    def send(self, octets: bytes) -> None:
        self.heard += self.channel.receive(octets)
        self.written += self.channel.take()


@pytest.fixture
def pipe(tmp_path: Path) -> Pipe:
    return Pipe(OneCertificate(tmp_path))


def test_what_is_said_arrives_however_the_stream_is_cut(pipe: Pipe) -> None:
    client = TlsClient(pipe)
    whole = pipe.send
    pipe.send = lambda octets: [whole(octets[i : i + 1]) for i in range(len(octets))]  # type: ignore

    client.handshake()
    client.say(b"x" * 40_000)

    assert pipe.heard == b"x" * 40_000


def test_a_reply_larger_than_a_record_arrives_whole(pipe: Pipe) -> None:
    client = TlsClient(pipe)
    client.handshake()

    pipe.channel.send(b"y" * 100_000)
    pipe.written += pipe.channel.take()

    assert client.hear() == b"y" * 100_000


def test_the_end_of_the_peer_is_noticed(pipe: Pipe) -> None:
    client = TlsClient(pipe)
    client.handshake()
    assert pipe.channel.established
    assert not pipe.channel.ended

    client.close()

    assert pipe.channel.ended


def test_a_failure_is_told_in_words_and_with_an_alert(pipe: Pipe) -> None:
    with pytest.raises(ssl.SSLError) as caught:
        pipe.channel.receive(b"EHLO client.example\r\n")

    assert pipe.channel.failure(caught.value) == "TLS handshake: wrong version number"
    assert pipe.channel.failure(ssl.SSLError()) == "TLS handshake: the peer broke off"


def test_closing_before_the_handshake_says_nothing(pipe: Pipe) -> None:
    pipe.channel.close()

    assert pipe.channel.take() == b""


def test_closing_says_so_once(pipe: Pipe) -> None:
    client = TlsClient(pipe)
    client.handshake()

    pipe.channel.close()
    pipe.written += pipe.channel.take()
    client.hear()

    assert client.over


def test_the_connection_is_described(pipe: Pipe) -> None:
    client = TlsClient(pipe)
    client.handshake()

    assert pipe.channel.describe().version == "TLSv1.3"
    assert pipe.channel.bindings() == (b"binding",)


# a peer that makes us work and says nothing


def fed(channel: TlsChannel, octets: bytes) -> bytes:
    """Feed octets as the wire does, and give what is to be sent."""
    for start in range(0, len(octets), FED):
        channel.receive(octets[start : start + FED])
    return channel.take()


def test_one_new_key_after_another_is_borne_for_a_while_only(pipe: Pipe) -> None:
    client = KeyUpdater(lambda octets: fed(pipe.channel, octets))
    assert fed(pipe.channel, client.updates(20))

    with pytest.raises(ssl.SSLError) as caught:
        fed(pipe.channel, client.updates(5000))

    assert pipe.channel.failure(caught.value) == "TLS: the peer says too little for what it sends"


def test_a_word_now_and_then_buys_no_more_of_them(pipe: Pipe) -> None:
    client = KeyUpdater(lambda octets: fed(pipe.channel, octets))

    def talk() -> None:
        for _ in range(500):
            fed(pipe.channel, client.updates(50) + client.said(b"x"))

    with pytest.raises(ssl.SSLError, match="says too little"):
        talk()


def test_who_says_something_may_say_it_in_small_records(pipe: Pipe) -> None:
    client = KeyUpdater(lambda octets: fed(pipe.channel, octets))

    for _ in range(20_000):
        fed(pipe.channel, client.said(b"x"))


def test_what_comes_after_the_end_is_not_kept(pipe: Pipe) -> None:
    client = TlsClient(pipe)
    client.handshake()
    client.close()

    for _ in range(100):
        assert pipe.channel.receive(b"x" * FED) == b""

    assert pipe.channel._incoming.pending == 0
