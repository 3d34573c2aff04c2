"""The DNS records to publish, as lines of a zone file."""

from collections.abc import Iterator, Sequence

_IPV4 = "192.0.2.1"  # RFC 5737: stands for an address
_IPV6 = "2001:db8::1"  # RFC 3849


def zone_lines(hostname: str, domains: Sequence[str]) -> Iterator[str]:
    """Yield the records of a host and its domains, A-labels all. The host's addresses are to be filled in."""
    rows = [
        *((domain, "MX", f"10 {hostname}.") for domain in domains),
        (hostname, "A", f"{_IPV4}   ; your IPv4 address"),
        (hostname, "AAAA", f"{_IPV6}   ; your IPv6 address, or no such record"),
        *((domain, "TXT", '"v=spf1 mx -all"') for domain in domains),
        *([] if hostname in domains else [(hostname, "TXT", '"v=spf1 a -all"')]),
    ]
    width = max(len(name) for name, _, _ in rows) + 1
    for name, kind, value in rows:
        yield f"{name + '.':{width}}  IN {kind:4}  {value}"
