"""The resolver: one conformance suite for the real one and its fake, then what only the real one has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from notqmail.config import Dns, Seconds
from notqmail.ports import DnsStatus, MxRecord, Resolver
from notqmail.system.dns import AiodnsResolver
from tests.support.dns import DnsServer, Fault, ZoneResolver, Zones

ZONES = Zones(
    {
        "example.org": {
            "MX": ["20 mx2.example.org.", "10 MX1.Example.org"],
            "TXT": '"v=spf1 " "-all"',
        },
        "mx1.example.org": {"A": ["192.0.2.1", "192.0.2.2"], "AAAA": "2001:db8::1"},
        "alias.example.org": {"CNAME": "mx1.example.org."},
        "dangling.example.org": {"CNAME": "nowhere.example."},
        "nomail.example": {"MX": "0 ."},
        "empty.example": {"TXT": '"nothing"'},
        "xn--bcher-kva.example": {"A": "192.0.2.7"},
        "under_score.example": {"TXT": '"yes"'},
        "192.0.2.1": {"PTR": "MX1.example.org."},
        "2001:db8::1": {"PTR": "mx1.example.org."},
        "broken.example": Fault.SERVFAIL,
        "refused.example": Fault.REFUSED,
        "half.example": {"A": "192.0.2.9", "AAAA": Fault.SERVFAIL},
        "sick.example": {"A": Fault.SERVFAIL},
        "many.example": {"TXT": [f'"{n:03} {"x" * 200}"' for n in range(60)]},
    }
)


class RealClock:
    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


@asynccontextmanager
async def served(
    zones: Zones = ZONES, *, truncate: bool = False, timeout: float = 5
) -> AsyncIterator[tuple[AiodnsResolver, DnsServer]]:
    async with DnsServer(zones, truncate=truncate) as server:
        config = Dns(servers=(server.address,), timeout=Seconds(timeout), records=50)
        resolver = AiodnsResolver(config, RealClock())
        try:
            yield resolver, server
        finally:
            await resolver.close()


@pytest.fixture(params=["real", "fake"])
async def resolver(request: pytest.FixtureRequest) -> AsyncIterator[Resolver]:
    if request.param == "fake":
        yield ZoneResolver(ZONES)
        return
    async with served() as (real, _):
        yield real


async def test_mx_records_come_in_lower_case_without_the_final_dot(resolver: Resolver) -> None:
    answer = await resolver.mx("example.org")

    assert answer.status is DnsStatus.OK
    assert set(answer.records) == {MxRecord(10, "mx1.example.org"), MxRecord(20, "mx2.example.org")}
    assert answer.ttl == 300


async def test_null_mx_has_an_empty_exchange(resolver: Resolver) -> None:
    assert (await resolver.mx("nomail.example")).records == (MxRecord(0, ""),)


async def test_addresses_are_both_families_ipv6_first(resolver: Resolver) -> None:
    answer = await resolver.addresses("mx1.example.org")

    assert answer.records[0] == "2001:db8::1"
    assert set(answer.records[1:]) == {"192.0.2.1", "192.0.2.2"}


@pytest.mark.parametrize(("family", "first"), [(4, "192.0.2"), (6, "2001:db8")])
async def test_one_family_can_be_asked_for(resolver: Resolver, family: int, first: str) -> None:
    answer = await resolver.addresses("mx1.example.org", family)

    assert all(record.startswith(first) for record in answer.records)
    assert answer.status is DnsStatus.OK


async def test_cname_is_followed(resolver: Resolver) -> None:
    assert (await resolver.addresses("alias.example.org", 6)).records == ("2001:db8::1",)


async def test_cname_to_nowhere_is_nxdomain(resolver: Resolver) -> None:
    assert (await resolver.addresses("dangling.example.org")).status is DnsStatus.NXDOMAIN


async def test_strings_of_a_txt_record_are_joined(resolver: Resolver) -> None:
    assert (await resolver.txt("example.org")).records == (b"v=spf1 -all",)


async def test_underscore_is_allowed_in_a_name(resolver: Resolver) -> None:
    assert (await resolver.txt("under_score.example")).records == (b"yes",)


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
async def test_ptr_gives_the_name_of_an_address(resolver: Resolver, address: str) -> None:
    assert (await resolver.ptr(address)).records == ("mx1.example.org",)


async def test_u_label_and_a_label_are_one_name(resolver: Resolver) -> None:
    assert (await resolver.addresses("Bücher.example", 4)).records == ("192.0.2.7",)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("nowhere.example", DnsStatus.NXDOMAIN),
        ("empty.example", DnsStatus.NODATA),
        ("example", DnsStatus.NODATA),
        ("broken.example", DnsStatus.TEMPFAIL),
        ("refused.example", DnsStatus.TEMPFAIL),
    ],
)
async def test_failure_is_an_answer_and_says_why(
    resolver: Resolver, name: str, status: DnsStatus
) -> None:
    answer = await resolver.mx(name)

    assert answer.status is status
    assert answer.records == ()
    assert answer.why


async def test_one_broken_family_does_not_hide_the_other(resolver: Resolver) -> None:
    assert (await resolver.addresses("half.example")).records == ("192.0.2.9",)


async def test_without_addresses_a_broken_family_is_a_temporary_failure(resolver: Resolver) -> None:
    assert (await resolver.addresses("sick.example")).status is DnsStatus.TEMPFAIL


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a..b",
        ".example.org",
        "x" * 64 + ".example",
        "a." * 127 + "example",
        "a\\.b",
        "a b",
        "a\0b",
        "xn--\N{SNOWMAN}.example",
        "\ud800.example",
        "a\nb.example",
    ],
)
async def test_name_that_dns_cannot_have_does_not_exist(resolver: Resolver, name: str) -> None:
    assert (await resolver.addresses(name)).status is DnsStatus.NXDOMAIN


@pytest.mark.parametrize("address", ["", "mx1.example.org", "192.0.2.300", "::1%lo0x"])
async def test_name_of_what_is_no_address_does_not_exist(resolver: Resolver, address: str) -> None:
    assert (await resolver.ptr(address)).status is DnsStatus.NXDOMAIN


async def test_truncated_answer_is_fetched_over_tcp() -> None:
    async with served(truncate=True) as (resolver, server):
        answer = await resolver.mx("example.org")

        assert len(answer.records) == 2
        assert server.tcp_queries == 1


async def test_large_answer_is_read_up_to_the_bound() -> None:
    async with served() as (resolver, server):
        answer = await resolver.txt("many.example")

        assert server.tcp_queries == 1
        assert len(answer.records) == 50


async def test_silent_server_is_given_up_after_the_timeout() -> None:
    async with served(Zones({"mute.example": Fault.TIMEOUT}), timeout=0.2) as (resolver, _):
        started = asyncio.get_running_loop().time()
        answer = await resolver.addresses("mute.example")

        assert answer.status is DnsStatus.TEMPFAIL
        assert asyncio.get_running_loop().time() - started < 1


async def test_same_question_at_the_same_moment_is_asked_once() -> None:
    async with served() as (resolver, server):
        answers = await asyncio.gather(*(resolver.mx("example.org") for _ in range(20)))

        assert server.queries["example.org MX"] == 1
        assert len(set(answers)) == 1


async def test_asker_that_gives_up_does_not_take_the_answer_from_the_others() -> None:
    async with served() as (resolver, _):
        first = asyncio.create_task(resolver.mx("example.org"))
        second = asyncio.create_task(resolver.mx("example.org"))
        await asyncio.sleep(0)
        first.cancel()

        assert (await second).status is DnsStatus.OK
        assert first.cancelled()


async def test_closing_answers_who_still_waits() -> None:
    async with served(Zones({"mute.example": Fault.TIMEOUT})) as (resolver, server):
        waiting = asyncio.create_task(resolver.mx("mute.example"))
        while not server.queries:
            await asyncio.sleep(0.001)
        await resolver.close()

        assert (await waiting).status is DnsStatus.TEMPFAIL


async def test_zone_text_says_the_same_as_zone_data() -> None:
    resolver = ZoneResolver(
        """
        ; a comment
        example.org      MX 10 mx.example.org.
        example.org      MX 20 mx2.example.org.
        mx.example.org   A 192.0.2.1
        mx.example.org   AAAA TIMEOUT
        broken.example   SERVFAIL
        """
    )

    assert len((await resolver.mx("example.org")).records) == 2
    assert (await resolver.addresses("mx.example.org")).records == ("192.0.2.1",)
    assert (await resolver.txt("broken.example")).status is DnsStatus.TEMPFAIL


async def test_secure_names_carry_ad() -> None:
    fake = ZoneResolver(ZONES, secure={"example.org"})

    assert (await fake.mx("example.org")).secure
    assert not (await fake.addresses("mx1.example.org")).secure
