"""Hops."""

import pytest

from notqmail.mail.hop import Hop


@pytest.mark.parametrize(
    "hop",
    [
        Hop("local"),
        Hop("smtp", "example.org"),
        Hop("smtp", "[IPv6:2001:db8::1]:25"),
        Hop("smtp", "x.example:25;t"),
    ],
)
def test_a_hop_is_read_back_from_its_destination(hop: Hop) -> None:
    assert Hop.of(hop.destination) == hop


def test_a_hop_may_name_a_table() -> None:
    hop = Hop("smtp", "example.net;strict")

    assert (hop.target, hop.table) == ("example.net", "strict")
    assert (Hop("smtp", "example.net").target, Hop("smtp", "example.net").table) == (
        "example.net",
        "",
    )
