"""What people do with the memory of certificates: the same operations over the control socket and on the file itself."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from notqmail.delivery.tls_memory import TlsMemory
from notqmail.mail.errors import AddressError
from notqmail.mail.idn import canonical_domain
from notqmail.queue.operations import OperationError

Arguments = Mapping[str, Any]
Operation = Callable[[Arguments], Awaitable[Any]]


def operations(memory: TlsMemory) -> Mapping[str, Operation]:
    """Give the operations by name, for the control socket."""

    async def list_(args: Arguments) -> list[dict[str, Any]]:
        return [
            {"domain": domain, "host": seen.host, "until": seen.until}
            for domain, seen in memory.list()
        ]

    async def forget(args: Arguments) -> dict[str, Any]:
        domain = _domain(args.get("domain"))
        if not memory.forget(domain):
            raise OperationError(f"nothing is remembered of {domain}")
        return {"domain": domain}

    return {"tls_list": list_, "tls_forget": forget}


def _domain(given: object) -> str:
    if not isinstance(given, str) or not given:
        raise OperationError("the argument 'domain' is missing")
    try:
        return canonical_domain(given)
    except AddressError:  # the address of a smarthost that has no name
        return given
