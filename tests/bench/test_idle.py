"""Connections that are held open."""

from pathlib import Path

import pytest

from tests.bench import idle
from tests.bench.peer import Failed, Unavailable
from tests.bench.small_server import small_server
from tests.support.waiting import wait_until


def go_on() -> str:
    return ""


def test_as_many_are_held_as_are_wanted(tmp_path: Path) -> None:
    with small_server(tmp_path) as server, idle.held(server.address, 10, go_on) as held:
        assert held.count() == 10
        assert not held.ended


def test_they_come_from_many_addresses(tmp_path: Path) -> None:
    with small_server(tmp_path) as server, idle.held(server.address, 10, go_on):
        assert len(server.sources) == 10


def test_a_server_that_takes_no_more_is_measured_with_those_it_has(tmp_path: Path) -> None:
    with (
        small_server(tmp_path, capacity=8) as server,
        idle.held(server.address, 40, go_on) as held,
    ):
        assert held.count() == 8
        assert held.ended == "the answer to the connection was '421 too many'"


def test_one_that_the_server_has_given_up_is_not_counted(tmp_path: Path) -> None:
    with small_server(tmp_path) as server, idle.held(server.address, 5, go_on) as held:
        held.sockets[0].sendall(b"QUIT\r\n")  # as if it had been closed from over there
        wait_until(lambda: held.count() == 4, 20, lambda: f"{held.count()} are left")


def test_one_that_refuses_ehlo_ends_it(tmp_path: Path) -> None:
    with (
        small_server(tmp_path, replies={"EHLO": b"550 not you\r\n"}) as server,
        pytest.raises(Failed, match=r"no connection could be held.*550 not you"),
        idle.held(server.address, 4, go_on),
    ):
        pass


def test_it_stops_when_there_is_a_reason(tmp_path: Path) -> None:
    with (
        small_server(tmp_path) as server,
        idle.held(server.address, 400, lambda: "memory is short") as held,
    ):
        assert held.count() < 400
        assert held.ended == "memory is short"


def test_more_descriptors_than_the_machine_has_are_refused_with_a_remedy() -> None:
    with pytest.raises(Unavailable, match="ulimit -Hn"):
        idle.descriptors(1 << 40)


def test_memory_that_is_left_is_a_sensible_number() -> None:
    assert 1 << 20 < idle.memory_left() < 1 << 50
