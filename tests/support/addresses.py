"""Addresses for hypothesis: every local part the grammar allows, with a few domains."""

from hypothesis import strategies as st

from notqmail.mail.address import Address

DOMAINS = (
    "example.org",
    "mx.Example.NET",
    "bücher.example",
    "xn--bcher-kva.example",
    "[192.0.2.1]",
    "[IPv6:2001:db8::1]",
)

# what may stand in a quoted local part, once unquoted (RFC 5321 §4.1.2, RFC 6531 §3.3)
local_parts = st.text(
    st.characters(min_codepoint=0x20, exclude_categories=("Cs", "Cc")), max_size=20
).filter(lambda local: len(local.encode()) <= 20)


def quoted(local: str) -> str:
    """Write a local part as a quoted string, whether it needs that or not."""
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'


addresses = st.builds(
    lambda local, domain: Address.parse(f"{quoted(local)}@{domain}"),
    local_parts,
    st.sampled_from(DOMAINS),
)
