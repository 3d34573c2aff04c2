"""The words of the configuration: sections, spans of time, sizes, endpoints."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import Struct

_SECONDS = {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_OCTETS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]+)?) *([A-Za-z]*)")


class Seconds(float):
    """A span of time, written "90s", "5m", "4h", "7d"."""


class Size(int):
    """A number of octets, written "64KB", "50MB" (powers of 1024)."""


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


_UNITS: dict[type, Mapping[str, float]] = {Seconds: _SECONDS, Size: _OCTETS}


class Endpoint(NamedTuple):
    """An address and port to bind or connect to."""

    host: str
    port: int


def endpoint(text: str) -> Endpoint:
    """Read "192.0.2.1:25", "[2001:db8::1]:25" or "host:25"; raise ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not address:port")
    if host.startswith("[") and host.endswith("]"):
        return Endpoint(str(ipaddress.IPv6Address(host[1:-1])), int(port))
    if ":" in host or not host:
        raise ValueError(f"{text!r} is not address:port; an IPv6 address goes in brackets")
    return Endpoint(host, int(port))


def quantity(kind: type, value: Any) -> Any:
    """Read a Seconds or a Size as written in the file. Raises TypeError, ValueError."""
    units = _UNITS[kind]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"expected a quantity, got {value!r}")
    match = _QUANTITY.fullmatch(str(value))
    if match is None or match[2] not in units:
        known = ", ".join(unit for unit in units if unit)
        raise ValueError(f"{value!r} is not a number with a unit ({known})")
    return kind(float(match[1]) * units[match[2]])


def seconds(text: str) -> Seconds:
    """Read a span of time, "90s" or "4h"; raise ValueError."""
    return Seconds(quantity(Seconds, text))
