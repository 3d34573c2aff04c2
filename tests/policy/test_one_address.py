"""A proxy that hides its clients is noticed, and nothing else is taken for one."""

import pytest

from notqmail.policy.one_address import ENOUGH, MANY, OneAddress

GATEWAY = "172.17.0.1"


def seen(*addresses: str) -> tuple[OneAddress, list[str]]:
    one = OneAddress("mx")
    said = [one.connected(address) for address in addresses]
    return one, [each for each in said if each is not None]


@pytest.mark.parametrize("address", [GATEWAY, "127.0.0.1", "fd00::1", "100.64.0.1", "::1"])
def test_when_all_come_from_one_private_address_it_is_said_once(address: str) -> None:
    one, said = seen(*[address] * 3 * ENOUGH)

    assert len(said) == 1
    assert said[0].startswith(
        f"100 of 100 clients of mx came from {address}: a proxy or a router hides"
    )
    assert "300 of 300" in (one.finding() or "")


def test_a_few_others_of_the_same_house_do_not_hide_it() -> None:
    _, said = seen(*["127.0.0.1"] * 10, *[GATEWAY] * 90)

    assert said[0].startswith("90 of 100 clients")


def test_more_than_a_few_others_hide_it() -> None:
    _, said = seen(*["127.0.0.1"] * 11, *[GATEWAY] * 89)

    assert said == []


def test_before_there_are_enough_nothing_is_said() -> None:
    one, said = seen(*[GATEWAY] * (ENOUGH - 1))

    assert (one.finding(), said) == (None, [])


@pytest.mark.parametrize("public", ["9.9.9.9", "2620:fe::fe"])
def test_one_public_address_ends_the_search(public: str) -> None:
    one, said = seen(*[GATEWAY] * 50, public, *[GATEWAY] * 1000)

    assert (one.finding(), said) == (None, [])


def test_a_public_address_takes_a_finding_back() -> None:
    one, said = seen(*[GATEWAY] * ENOUGH, "9.9.9.9")

    assert (one.finding(), len(said)) == (None, 1)


def test_a_lan_is_no_proxy() -> None:
    one, said = seen(*["10.0.0.1", "10.0.0.2", "10.0.0.3"] * ENOUGH)

    assert (one.finding(), said) == (None, [])


def test_a_house_may_be_as_large_as_is_remembered() -> None:
    _, said = seen(*(f"10.0.0.{n}" for n in range(MANY - 1)), *[GATEWAY] * 10_000)

    assert len(said) == 1


def test_what_is_remembered_is_bounded() -> None:
    one, said = seen(*(f"10.0.0.{n}" for n in range(MANY)), *[GATEWAY] * 10_000)

    assert (one.finding(), said) == (None, [])


def test_a_client_without_an_address_is_one_of_them() -> None:
    assert "came from :" in seen(*[""] * ENOUGH)[1][0]
