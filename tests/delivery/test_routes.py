"""A next hop's hosts and addresses by DNS."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from notqmail.config import Outbound, Seconds, To
from notqmail.delivery.routes import Route, Routes
from notqmail.delivery.terms import Tables
from notqmail.mail.hop import Hop
from tests.support.clock import FakeClock
from tests.support.dns import Fault, ZoneResolver

ZONES: Any = {
    "one.example": {"MX": ["10 mx1.provider.example", "20 mx2.provider.example"]},
    "two.example": {"MX": ["10 mx2.provider.example", "20 mx1.provider.example"]},
    "mx1.provider.example": {"A": "192.0.2.1", "AAAA": "2001:db8::1"},
    "mx2.provider.example": {"A": "192.0.2.2"},
    "plain.example": {"A": "192.0.2.3"},
    "alias.example": {"MX": "10 cname.example"},
    "cname.example": {"CNAME": "mx1.provider.example"},
    "number.example": {"MX": "10 192.0.2.9"},
    "half.example": {"MX": ["10 sick.example", "20 mx2.provider.example"]},
    "ill.example": {"MX": "10 sick.example"},
    "sick.example": Fault.SERVFAIL,
    "hollow.example": {"MX": "10 nowhere.example"},
    "text.example": {"TXT": '"no mail here"'},
    "null.example": {"MX": "0 ."},
    "mapped.example": {"AAAA": "::ffff:192.0.2.7"},
    "many.example": {"MX": [f"10 m{n}.example" for n in range(30)]},
    **{f"m{n}.example": {"A": f"192.0.2.{n + 10}"} for n in range(30)},
}


class World:
    def __init__(self, is_us: Callable[[str], bool] = lambda name: False, **outbound: Any) -> None:
        self.clock = FakeClock()
        self.resolver = ZoneResolver(ZONES)
        settings = Outbound(**outbound)
        tables = Tables.read(settings)
        self.routes = Routes(settings, tables, self.resolver, self.clock, random.Random(1), is_us)

    async def find(self, nexthop: str) -> Route:
        return await self.routes.find(Hop("smtp", nexthop))

    async def tried(self, nexthop: str) -> list[str]:
        return [c.address for c in self.routes.candidates(await self.find(nexthop))]

    async def failure(self, nexthop: str) -> str:
        reply = (await self.find(nexthop)).failure
        assert reply is not None
        return f"{reply.code} {reply.enhanced}"


async def test_domain_goes_to_the_addresses_of_its_exchangers() -> None:
    assert await World().tried("one.example") == ["2001:db8::1", "192.0.2.1", "192.0.2.2"]


async def test_domain_without_mx_goes_to_its_own_address() -> None:
    assert await World().tried("plain.example") == ["192.0.2.3"]


async def test_exchanger_may_be_an_alias_or_an_address_though_it_should_not() -> None:
    world = World()

    assert "192.0.2.1" in await world.tried("alias.example")
    assert await world.tried("number.example") == ["192.0.2.9"]


async def test_broken_exchanger_does_not_hide_the_others() -> None:
    assert await World().tried("half.example") == ["192.0.2.2"]


@pytest.mark.parametrize(
    ("nexthop", "reply"),
    [
        ("nowhere.example", "550 5.1.2"),
        ("null.example", "556 5.1.10"),
        ("hollow.example", "550 5.4.4"),
        ("text.example", "550 5.4.4"),
        ("ill.example", "451 4.4.3"),
        ("sick.example", "451 4.4.3"),
        ("nowhere.example:25", "451 4.3.5"),
        ("[nonsense]", "451 4.3.5"),
    ],
)
async def test_reason_is_told_where_mail_cannot_go(nexthop: str, reply: str) -> None:
    assert await World().failure(nexthop) == reply


async def test_smarthost_is_asked_for_its_address_and_never_for_mx() -> None:
    world = World()

    route = await world.find("plain.example:587")

    assert (route.hosts[0].addresses, route.port) == (("192.0.2.3",), 587)
    assert "plain.example MX" not in world.resolver.queries


async def test_literal_needs_no_dns() -> None:
    world = World()

    assert await world.tried("[IPv6:2001:db8::7]") == ["2001:db8::7"]
    assert not world.resolver.queries


async def test_domains_with_one_set_of_exchangers_have_one_lane() -> None:
    world = World()

    assert (await world.find("one.example")).lane == (await world.find("two.example")).lane


async def test_lane_is_the_destination_when_dns_cannot_say_more() -> None:
    assert (await World().find("sick.example")).lane == "smtp:sick.example"


async def test_lane_of_many_names_stays_short() -> None:
    assert len((await World().find("many.example")).lane) < 256


async def test_only_so_many_exchangers_are_looked_up() -> None:
    world = World(mx_limit=4)

    assert len(await world.tried("many.example")) == 4
    assert sum(query.endswith(" A") for query in world.resolver.queries) == 4


async def test_table_has_a_lane_and_a_preference_of_its_own() -> None:
    world = World(to=(To(name="t", prefer="ipv4"),))

    ours, theirs = await world.find("one.example;t"), await world.find("one.example")

    assert ours.lane == f"{theirs.lane};t"
    assert (ours.domain, theirs.domain) == ("one.example", "one.example")
    assert (await world.tried("one.example;t"))[0] == "192.0.2.1"


async def test_table_has_a_smarthost_of_its_own() -> None:
    world = World(to=(To(name="t", smarthost="plain.example:587"),))

    route = await world.find("one.example;t")

    assert (route.hosts[0].addresses, route.port) == (("192.0.2.3",), 587)
    assert route.domain == "plain.example"


async def test_table_that_is_gone_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert await World().tried("plain.example;gone") == ["192.0.2.3"]
    assert await World().failure("relay.example:25;gone") == "451 4.3.5"
    assert caplog.messages == ["table-gone"] * 2


async def test_mapped_address_is_tried_as_ipv4_and_recognised_as_ours() -> None:
    assert await World().tried("mapped.example") == ["192.0.2.7"]
    assert await World("192.0.2.7".__eq__).failure("mapped.example") == "554 5.4.6"


async def test_we_are_recognised_by_address() -> None:
    assert await World("192.0.2.2".__eq__).tried("one.example") == ["2001:db8::1", "192.0.2.1"]
    assert await World("192.0.2.3".__eq__).failure("plain.example") == "554 5.4.6"


async def test_route_is_remembered_until_its_ttl() -> None:
    world = World(route_age=Seconds(1000))
    for _ in range(3):
        await world.find("one.example")
    assert world.resolver.queries["one.example MX"] == 1

    world.clock.advance(301)
    await world.find("one.example")

    assert world.resolver.queries["one.example MX"] == 2


async def test_route_is_remembered_no_longer_than_configured() -> None:
    world = World(route_age=Seconds(60))
    await world.find("one.example")

    world.clock.advance(61)
    await world.find("one.example")

    assert world.resolver.queries["one.example MX"] == 2


async def test_failure_is_not_remembered() -> None:
    world = World()
    await world.find("sick.example")
    world.resolver.zones.update({"sick.example": {"A": "192.0.2.5"}})

    assert await world.tried("sick.example") == ["192.0.2.5"]


async def test_only_so_many_routes_are_remembered() -> None:
    world = World(routes=1)
    for nexthop in ("one.example", "two.example", "one.example"):
        await world.find(nexthop)

    assert world.resolver.queries["one.example MX"] == 2


async def test_equal_exchangers_come_in_a_new_order_each_time() -> None:
    world = World()

    assert len({tuple(await world.tried("many.example")) for _ in range(5)}) > 1


async def test_without_ipv6_no_ipv6_address_is_looked_up() -> None:
    world = World(ipv6=False)

    assert await world.tried("one.example") == ["192.0.2.1", "192.0.2.2"]
    assert not any(query.endswith("AAAA") for query in world.resolver.queries)
