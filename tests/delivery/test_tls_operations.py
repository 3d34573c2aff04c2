"""What people do with the memory of certificates."""

from typing import Any

import pytest

from notqmail.delivery.tls_memory import TlsMemory
from notqmail.delivery.tls_operations import operations
from notqmail.queue.operations import OperationError
from tests.support.clock import EPOCH, FakeClock


@pytest.fixture
def memory() -> TlsMemory:
    memory = TlsMemory(FakeClock(), lifetime=60, domains=10)
    for domain in ("xn--bcher-kva.example", "example.net", "192.0.2.1"):
        memory.remember(domain, f"mx.{domain}")
    return memory


async def test_domains_are_listed(memory: TlsMemory) -> None:
    rows = await operations(memory)["tls_list"]({})

    assert rows[1] == {"domain": "example.net", "host": "mx.example.net", "until": EPOCH + 60}
    assert len(rows) == 3


@pytest.mark.parametrize("given", ["example.net", "EXAMPLE.net", "bücher.example", "192.0.2.1"])
async def test_domain_is_forgotten_by_any_spelling(memory: TlsMemory, given: str) -> None:
    await operations(memory)["tls_forget"]({"domain": given})

    assert len(memory) == 2


@pytest.mark.parametrize("given", ["example.com", "not a domain", "", None, 7])
async def test_domain_that_is_not_known_is_refused(memory: TlsMemory, given: Any) -> None:
    with pytest.raises(OperationError):
        await operations(memory)["tls_forget"]({"domain": given})
