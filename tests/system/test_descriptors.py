"""Room for sessions under the limit of open files."""

import resource
from pathlib import Path

import pytest

from notqmail.config import Config, parse
from notqmail.system.descriptors import open_files, share


def listening(*connections: int) -> Config:
    listen = [
        {
            "name": f"mx{at}",
            "kind": "mx",
            "bind": [f"127.0.0.1:{at + 1}"],
            "limits": {"connections": each},
        }
        for at, each in enumerate(connections)
    ]
    return parse({"hostname": "mx.example.org", "listen": listen}, Path("notqmail.toml"))


@pytest.mark.parametrize(
    ("limit", "connections", "expected"),
    [
        (1_000_000, (2000,), 1.0),
        (2500, (2000,), 1.0),
        (2500, (2000, 2000), 0.5),
        (1500, (2000,), 0.5),
        (64, (16,), 1.0),
        (64, (160,), 0.1),
        (1000, (), 1.0),
    ],
)
def test_sessions_leave_descriptors_for_the_rest(
    limit: int, connections: tuple[int, ...], expected: float
) -> None:
    assert share(listening(*connections), limit) == expected


def test_the_limit_is_the_one_in_force() -> None:
    assert open_files() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
