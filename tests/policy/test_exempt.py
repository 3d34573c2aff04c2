"""Who is spared what is held."""

import pytest

from notqmail.mail.address import Address
from notqmail.mail.envelope import Recipient
from notqmail.policy.exempt import Exemptions
from tests.support.policy import ALICE, is_local, session, transaction

EXEMPT = Exemptions(is_local)


@pytest.mark.parametrize(
    ("local", "domain", "spared"),
    [
        ("postmaster", "example.org", True),
        ("PostMaster", "example.org", True),
        ("abuse", "example.org", True),
        ("postmaster", "", True),
        ("postmaster", "example.net", False),
        ("postmaster+x", "example.org", False),
        ("alice", "example.org", False),
    ],
)
def test_postmaster_and_abuse_of_our_domains_hear_from_everybody(
    local: str, domain: str, spared: bool
) -> None:
    assert EXEMPT(transaction(), Recipient(Address(local, domain))) is spared


@pytest.mark.parametrize("known", [{"login": "alice"}, {"local_user": "alice"}])
def test_whom_we_know_we_do_not_suspect(known: dict[str, str]) -> None:
    assert EXEMPT(transaction(within=session(**known)), ALICE)
