"""Which hosts to try, in which order (RFC 5321 §5.1)."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.delivery.mx import (
    Exchange,
    Nexthop,
    candidates,
    exchanges,
    plain_address,
    read_nexthop,
)
from notqmail.mail.reply import Reply
from notqmail.ports import Answer, DnsStatus, MxRecord


def nobody(name: str) -> bool:
    return False


def answer(*records: tuple[int, str]) -> Answer[MxRecord]:
    return Answer(DnsStatus.OK, tuple(MxRecord(p, x) for p, x in records), 300)


def order(*records: tuple[int, str], us: str = "", seed: int = 0) -> list[str] | str:
    found = exchanges("example.net", answer(*records), us.__eq__, random.Random(seed))
    return f"{found.code} {found.enhanced}" if isinstance(found, Reply) else [e.host for e in found]


def test_exchangers_come_by_preference() -> None:
    assert order((20, "b"), (10, "a"), (30, "c")) == ["a", "b", "c"]


def test_equal_preferences_come_in_every_order() -> None:
    orders = {tuple(order((10, "a"), (10, "b"), (20, "z"), seed=n)) for n in range(20)}

    assert orders == {("a", "b", "z"), ("b", "a", "z")}


def test_domain_without_mx_is_its_own() -> None:
    found = exchanges("example.net", Answer(DnsStatus.NODATA), nobody, random.Random(0))

    assert found == (Exchange(0, "example.net"),)


def test_null_mx_refuses_for_good() -> None:
    assert order((0, "")) == "556 5.1.10"


def test_null_mx_beside_a_real_one_means_nothing() -> None:
    assert order((0, ""), (10, "a")) == ["a"]


@pytest.mark.parametrize(
    ("status", "reply"),
    [(DnsStatus.TEMPFAIL, (451, "4.4.3")), (DnsStatus.NXDOMAIN, (550, "5.1.2"))],
)
def test_trouble_with_dns_says_which(status: DnsStatus, reply: tuple[int, str]) -> None:
    found = exchanges("example.net", Answer(status), nobody, random.Random(0))

    assert isinstance(found, Reply)
    assert (found.code, found.enhanced) == reply


def test_exchangers_not_better_than_we_are_left_out() -> None:
    assert order((10, "a"), (20, "us"), (20, "b"), (30, "c"), us="us") == ["a"]


@pytest.mark.parametrize(
    "records", [[(10, "us")], [(10, "us"), (20, "b")], [(10, "us"), (10, "b")]]
)
def test_mail_loops_where_we_are_the_best(records: list[tuple[int, str]]) -> None:
    assert order(*records, us="us") == "554 5.4.6"


def test_implicit_mx_that_is_us_loops() -> None:
    found = exchanges("us", Answer(DnsStatus.NODATA), "us".__eq__, random.Random(0))

    assert isinstance(found, Reply)
    assert found.enhanced == "5.4.6"


def hosts(*exchanges: tuple[int, str]) -> list[Exchange]:
    return [Exchange(p, f"h{n}", tuple(a.split())) for n, (p, a) in enumerate(exchanges)]


def tried(*exchanges: tuple[int, str], limit: int = 10, ipv6: bool = True) -> list[str]:
    return [c.address for c in candidates(hosts(*exchanges), 25, limit, ipv6=ipv6)]


def test_families_alternate_among_equals() -> None:
    assert tried((10, "::1 ::2 1.1.1.1 1.1.1.2")) == ["::1", "1.1.1.1", "::2", "1.1.1.2"]


def test_preference_goes_before_family() -> None:
    assert tried((10, "1.1.1.1"), (20, "::1")) == ["1.1.1.1", "::1"]


def test_tries_are_bounded() -> None:
    assert len(tried((10, " ".join(f"1.1.1.{n}" for n in range(1, 90))), limit=3)) == 3


def test_dead_family_cannot_eat_all_tries() -> None:
    six = " ".join(f"::{n:x}" for n in range(1, 90))

    assert tried((10, six), (20, "1.1.1.1 1.1.1.2"), limit=4) == [
        "::1",
        "::2",
        "1.1.1.1",
        "1.1.1.2",
    ]


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        ("ipv6", ["::1", "::2", "1.1.1.1", "1.1.1.2", "::3", "1.1.1.3"]),
        ("ipv4", ["1.1.1.1", "1.1.1.2", "::1", "::2", "1.1.1.3", "::3"]),
        ("either", ["::1", "1.1.1.1", "::2", "1.1.1.2", "::3", "1.1.1.3"]),
    ],
)
def test_preferred_family_comes_first_among_equals(prefer: Any, expected: list[str]) -> None:
    found = candidates(
        hosts((10, "::1 1.1.1.1 ::2 1.1.1.2"), (20, "1.1.1.3 ::3")), 25, 10, prefer=prefer
    )

    assert [c.address for c in found] == expected


def test_preferred_family_leaves_tries_to_the_other() -> None:
    six = " ".join(f"::{n:x}" for n in range(1, 90))

    found = candidates(hosts((10, f"{six} 1.1.1.1 1.1.1.2")), 25, 4, prefer="ipv6")

    assert [c.address for c in found] == ["::1", "::2", "1.1.1.1", "1.1.1.2"]


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("192.0.2.1", "192.0.2.1"),
        ("nonsense", "nonsense"),
    ],
)
def test_mapped_address_is_an_ipv4_address(address: str, plain: str) -> None:
    assert plain_address(address) == plain


def test_ipv6_can_be_switched_off() -> None:
    assert tried((10, "::1 1.1.1.1"), ipv6=False) == ["1.1.1.1"]


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "nonsense", ""])
def test_address_that_mail_cannot_go_to_is_left_out(address: str) -> None:
    found = candidates([Exchange(10, "h", (address, "1.1.1.1"))], 25, 10)

    assert [c.address for c in found] == ["1.1.1.1"]


def test_address_of_two_exchangers_is_tried_once() -> None:
    assert tried((10, "1.1.1.1"), (20, "1.1.1.1")) == ["1.1.1.1"]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.lists(st.integers(1, 40)), st.lists(st.integers(1, 40)))
    ),
    st.integers(1, 12),
)
def test_candidates_are_bounded_distinct_and_fair(
    drawn: list[tuple[int, list[int], list[int]]], limit: int
) -> None:
    made = [
        Exchange(p, "h", (*(f"2001:db8::{n:x}" for n in six), *(f"192.0.2.{n}" for n in four)))
        for p, six, four in sorted(drawn)
    ]
    every = {a for e in made for a in e.addresses}
    found = [c.address for c in candidates(made, 25, limit)]

    assert len(found) == len(set(found)) == min(limit, len(every))
    for family in (":", "."):
        there = sum(family in a for a in every)
        assert sum(family in a for a in found) >= min(there, limit // 2)


@pytest.mark.parametrize(
    ("text", "nexthop"),
    [
        ("example.net", Nexthop("example.net", 25, by_mx=True)),
        ("[192.0.2.1]", Nexthop("192.0.2.1", 25, literal=True)),
        ("[IPv6:2001:db8::1]", Nexthop("2001:db8::1", 25, literal=True)),
        ("[2001:db8::1]:2525", Nexthop("2001:db8::1", 2525, literal=True)),
        ("[192.0.2.1]:2525", Nexthop("192.0.2.1", 2525, literal=True)),
        ("192.0.2.1:2525", Nexthop("192.0.2.1", 2525, literal=True)),
        ("smart.example:587", Nexthop("smart.example", 587)),
    ],
)
def test_next_hop_is_read_in_every_form(text: str, nexthop: Nexthop) -> None:
    assert read_nexthop(text, 25) == nexthop


@pytest.mark.parametrize(
    "text", ["[", "[x]", "[192.0.2.1", "[192.0.2.1]x", "[::1]:x", "a:b", "a:99999", ":25"]
)
def test_what_is_no_next_hop_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_nexthop(text, 25)
