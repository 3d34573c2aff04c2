"""Which IP addresses are this machine's."""

from ipaddress import ip_address

import pytest

from notqmail.system.addresses import is_our_text, is_ours


@pytest.mark.parametrize("text", ["127.0.0.1", "127.8.9.10"])
def test_loopback_is_ours(text: str) -> None:
    assert is_ours(ip_address(text))
    assert is_our_text(text)


@pytest.mark.parametrize(
    "text", ["192.0.2.1", "2001:db8::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1"]
)
def test_others_and_nobodys_are_not(text: str) -> None:
    assert not is_ours(ip_address(text))


@pytest.mark.parametrize("text", ["mx.example.org", "", "127.0.0.1 ", "[127.0.0.1]"])
def test_what_is_no_address_is_not_ours(text: str) -> None:
    assert not is_our_text(text)
