"""A private HAProxy in TCP mode before a port of ours: who really sends the PROXY protocol.

with haproxy.running({"v1": ("send-proxy", port)}) as proxy:
    proxy.ports["v1"]
"""

import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.places import open_directory
from tests.support.programs import ROOT, environment
from tests.support.waiting import free_port, wait_until

HAPROXY = ROOT / ".peers" / "haproxy"  # scripts/peers unpacks it there
_PROGRAM = HAPROXY / "usr/sbin/haproxy"
_LIBRARIES = ":".join(map(str, sorted(HAPROXY.glob("usr/lib/*-linux-gnu"))))

_HEAD = """
global
  maxconn 200
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
"""
_ROAD = """
listen {name}
  bind {bind}
  server ours 127.0.0.1:{target} {options}
"""


@dataclass(frozen=True, slots=True)
class Haproxy:
    """A running HAProxy: the port it listens on, on 127.0.0.1 and ::1, for each road."""

    ports: Mapping[str, int]


@contextmanager
def running(roads: Mapping[str, tuple[str, int]]) -> Iterator[Haproxy]:
    """Run one with a port for each road: its options as a `server` line has them, and our port. Skips where there is
    no HAProxy."""
    if not _PROGRAM.exists():
        pytest.skip("HAProxy is not unpacked below .peers; scripts/peers does it (as root)")
    ports = {name: free_port() for name in roads}
    with open_directory() as place:
        config = place / "haproxy.cfg"
        config.write_text(_HEAD + "".join(_road(*each, ports) for each in roads.items()))
        log = place / "log"
        with _process(config, log) as process:
            wait_until(lambda: _answers(process, log, ports), 20, log.read_text)
            yield Haproxy(ports)


def _road(name: str, road: tuple[str, int], ports: Mapping[str, int]) -> str:
    options, target = road
    bind = f"127.0.0.1:{ports[name]},[::1]:{ports[name]}"
    return _ROAD.format(name=name, bind=bind, target=target, options=options)


@contextmanager
def _process(config: Path, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(_PROGRAM), "-db", "-f", str(config)],
            env=environment() | {"LD_LIBRARY_PATH": _LIBRARIES},
            cwd=os.sep,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _answers(process: "subprocess.Popen[bytes]", log: Path, ports: Mapping[str, int]) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        for port in ports.values():
            socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True
