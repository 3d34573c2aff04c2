"""tls: which domains are held to a valid certificate, here in the file of a server that does not run."""

import asyncio
import json
from pathlib import Path

import pytest

from notqmail.config import load
from notqmail.delivery.tls_memory import FILE, TlsMemory
from notqmail.store.lock import DataLock
from notqmail.system.clock import SystemClock
from tests.support.commands import Ended, init, notqmail


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return init(tmp_path / "x")


async def _fill(memory: TlsMemory, *domains: str) -> None:
    for domain in domains:
        memory.remember(domain, f"mx.{domain}")
    await memory.close()


@pytest.fixture
def filled(config: Path) -> Path:
    memory = TlsMemory(SystemClock(), load(config).data / FILE, lifetime=86400, domains=10)
    asyncio.run(_fill(memory, "example.net", "xn--bcher-kva.example"))
    return config


def tls(config: Path, *arguments: object) -> Ended:
    return notqmail("tls", *arguments, "-c", config)


def test_domains_are_a_table(filled: Path) -> None:
    ended = tls(filled, "list")

    head, first, _ = ended.out.splitlines()
    assert ended.status == 0
    assert head.split() == ["DOMAIN", "UNTIL", "HOST"]
    assert first.split()[0] == "example.net"
    assert first.endswith("mx.example.net")


def test_domains_are_records(filled: Path) -> None:
    rows = [json.loads(line) for line in tls(filled, "list", "--json").out.splitlines()]

    assert [row["domain"] for row in rows] == ["example.net", "xn--bcher-kva.example"]


def test_nothing_remembered_is_said_to_be(config: Path) -> None:
    assert tls(config, "list").out == "no domain has shown a valid certificate yet\n"


def test_domain_is_forgotten(filled: Path) -> None:
    ended = tls(filled, "forget", "bücher.example")

    assert (ended.status, ended.out) == (0, "xn--bcher-kva.example: forgotten\n")
    assert "bcher" not in tls(filled, "list").out


def test_domain_that_is_not_remembered_is_a_no(filled: Path) -> None:
    ended = tls(filled, "forget", "example.com")

    assert (ended.status, ended.out) == (1, "")
    assert "nothing is remembered of example.com" in ended.err


def test_file_is_left_alone_while_somebody_else_has_the_data(filled: Path) -> None:
    lock = DataLock.acquire(load(filled).data)
    try:
        assert tls(filled, "forget", "example.net").status == 2
    finally:
        lock.release()
