"""Hops."""

import pytest

from notqmail.mail.hop import Hop


@pytest.mark.parametrize(
    "hop", [Hop("local"), Hop("smtp", "example.org"), Hop("smtp", "[IPv6:2001:db8::1]:25")]
)
def test_a_hop_is_read_back_from_its_destination(hop: Hop) -> None:
    assert Hop.of(hop.destination) == hop
