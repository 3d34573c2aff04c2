"""The load over STARTTLS: command line, message, and what is told when a server does not take part. That it works is
shown with Postfix in tests/interop/test_bench_workloads.py."""

from pathlib import Path

import pytest

from tests.bench import tls_client
from tests.bench.peer import Endpoint, Failed
from tests.bench.small_server import small_server
from tests.bench.tls_client import Load
from tests.support.waiting import free_port


@pytest.mark.parametrize("octets", [0, 100, 101, 160, 4096, 10_000])
def test_a_message_has_the_size_that_is_asked_for_or_just_a_header(octets: int) -> None:
    content = tls_client.message(octets)

    assert content.endswith(b"\r\n")
    assert b"\r\n." not in content
    assert octets - 2 <= len(content) <= max(octets, 80)


def test_the_command_line_says_what_is_sent_and_where() -> None:
    words = (
        "--sessions 3 --messages 7 --octets 99 --from a@x.example --to b@y.example 127.0.0.1:2525"
    )

    load, to = tls_client.parsed(words.split())

    assert load == Load(3, 7, 99, "a@x.example", "b@y.example")
    assert to == Endpoint("127.0.0.1", 2525)


def test_sessions_are_never_offered_again_and_nothing_older_than_tls_1_3_is() -> None:
    made = tls_client.context()

    assert made.minimum_version.name == "TLSv1_3"
    assert not made.check_hostname


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (b"502 5.5.1 no\r\n", r"^the answer to STARTTLS was '502 5\.5\.1 no'$"),
        (b"220 go\r\n250 injected\r\n", "after the reply to STARTTLS that are not TLS$"),
    ],
)
def test_an_answer_to_starttls_that_cannot_be_is_a_failure(
    reply: bytes, complaint: str, tmp_path: Path
) -> None:
    load = Load(1, 1, 4096, "a@sender.example", "bench@small.example")

    with (
        small_server(tmp_path, replies={"STARTTLS": reply}) as server,
        pytest.raises(Failed, match=complaint),
    ):
        tls_client.deliver(load, server.address, tls_client.context(), b"Subject: x\r\n\r\n")


def test_what_a_session_complains_of_is_the_failure_of_the_program() -> None:
    load = Load(2, 4, 4096, "a@sender.example", "bench@small.example")

    with pytest.raises(Failed, match=r"^the TLS client: .*refused"):
        tls_client.send(load, Endpoint("127.0.0.1", free_port()), 30)


def test_time_that_is_over_is_a_failure() -> None:
    load = Load(1, 1, 4096, "a@sender.example", "bench@small.example")

    with pytest.raises(Failed, match="within 0 s"):
        tls_client.send(load, Endpoint("127.0.0.1", free_port()), 0)
