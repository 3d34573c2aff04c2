"""W5 on a small server: what is made of the memory it says it has, and of connections it refuses."""

from pathlib import Path

import pytest

from tests.bench.peer import Endpoint, Failed
from tests.bench.small_server import SmallUsage, small_server
from tests.bench.workloads.w5 import W5, WORKLOADS, transaction
from tests.support.waiting import free_port


def test_the_memory_of_a_connection_is_what_was_added_by_their_number(tmp_path: Path) -> None:
    usage = SmallUsage(memories=[1_000_000, 1_000_000 + 8 * 2048])

    with small_server(tmp_path, usage=usage) as server:
        figures = W5("W5", 8, transactions=3).measure(server)

    assert figures.more["KB per connection"] == 2
    assert figures.more["connections held"] == 8
    assert figures.memory == 1_000_000 + 8 * 2048


def test_messages_are_served_beside_them(tmp_path: Path) -> None:
    with small_server(tmp_path) as server:
        figures = W5("W5", 8, transactions=3).measure(server)

        assert len(list(server.inbox("bench").iterdir())) == 5 + 3
    assert 0 < figures.more["ms for a message"] <= figures.more["ms at worst"]


def test_a_server_that_holds_fewer_is_measured_with_those_and_serves_nobody_else(
    tmp_path: Path,
) -> None:
    with small_server(tmp_path, capacity=8) as server:
        figures = W5("W5", 20, transactions=3).measure(server)

    assert figures.more["connections held"] == 8
    assert figures.more["messages served"] == 0
    assert "ms for a message" not in figures.more


def test_a_message_that_is_not_taken_is_a_failure() -> None:
    with pytest.raises(Failed, match="beside the idle connections"):
        transaction(Endpoint("127.0.0.1", free_port()), "bench@small.example", 5)


def test_the_server_is_told_how_many_connections_to_allow(tmp_path: Path) -> None:
    assert [work.setup(tmp_path).connections for work in WORKLOADS] == [2_100, 10_100]
