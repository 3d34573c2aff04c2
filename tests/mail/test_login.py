"""Who has logged in."""

import pytest

from notqmail.mail.address import Address
from notqmail.mail.login import Login, ScramKeys


@pytest.mark.parametrize("account", ["alice", "ALICE", "Alice@Example.ORG"])
def test_an_account_is_counted_as_one_however_it_is_spelled(account: str) -> None:
    text = account if "@" in account else f"{account}@example.org"

    assert Login(account, Address.parse(text)).key == "alice@example.org"


def test_an_account_without_an_address_is_counted_by_its_name() -> None:
    assert Login("svc").key == "svc"
    assert str(Login("svc")) == "svc"


def test_keys_are_not_shown() -> None:
    assert "secret" not in repr(ScramKeys(b"secret-1", b"secret-2", Login("alice")))
