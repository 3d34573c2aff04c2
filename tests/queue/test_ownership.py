"""Whose an address is."""

from typing import Any

import pytest

from notqmail.config import Addressing, Auth, Config, Domain
from notqmail.mail.address import Address
from notqmail.mail.login import Login
from notqmail.queue.ownership import Ownership
from notqmail.queue.route import MAX_TARGETS, Router
from tests.support.directory import MemoryDirectory

ALICE = Address("alice", "example.org")
LOGIN = Login("alice@example.org", ALICE)

MAILBOXES = ("alice@example.org", "bob@example.org", "alice+own@example.org")
ALIASES = {
    "sales@example.org": ["alice@example.org"],
    "all@example.org": ["sales@example.org", "bob@example.org", "x@elsewhere.example"],
    "tagged@example.org": ["alice+tag@example.org"],
    "theirs@example.org": ["bob@example.org"],
    "alice+list@example.org": ["bob@example.org"],
    "away@example.org": ["carol@elsewhere.example"],
    "loop@example.org": ["loop@example.org"],
    "@example.net": ["alice@example.org"],
}
LISTS = {
    "alice@example.org": ["office@elsewhere.example", "@lists.example"],
    "backup": ["root@db.example"],
}


def ownership(directory: MemoryDirectory | None = None, **options: Any) -> Ownership:
    config = Config(
        hostname="mx.example.org",
        domain=(Domain(name="example.org"), Domain(name="example.net")),
        postmaster="bob@example.org",
        **options,
    )
    directory = directory or MemoryDirectory(
        ["example.org", "example.net"], MAILBOXES, ALIASES, LISTS
    )
    return Ownership(Router(directory, config), directory, config)


def owned(login: Login, address: str, **options: Any) -> bool:
    return ownership(**options)(login, Address.parse(address))


@pytest.mark.parametrize(
    "address",
    [
        "alice@example.org",
        "ALICE@EXAMPLE.ORG",
        "alice+anything@example.org",
        "sales@example.org",
        "sales+june@example.org",
        "all@example.org",
        "tagged@example.org",
        "whoever@example.net",
        "office@elsewhere.example",
        "Office@elsewhere.example",
        "anybody@lists.example",
    ],
)
def test_what_leads_to_a_mailbox_is_its_own_and_what_is_listed_is_too(address: str) -> None:
    assert owned(LOGIN, address)


@pytest.mark.parametrize(
    "address",
    [
        "bob@example.org",
        "theirs@example.org",
        "alice+own@example.org",
        "alice+list@example.org",
        "away@example.org",
        "loop@example.org",
        "nobody@example.org",
        "alicia@example.org",
        "alice@elsewhere.example",
        "office+x@elsewhere.example",
        "anybody@sub.lists.example",
        "postmaster@example.org",
        "root@db.example",
    ],
)
def test_anything_else_is_not(address: str) -> None:
    assert not owned(LOGIN, address)


def test_who_is_postmaster_writes_as_postmaster() -> None:
    bob = Login("bob@example.org", Address("bob", "example.org"))

    assert owned(bob, "postmaster@example.org")
    assert owned(bob, "abuse@example.net")


def test_without_a_separator_there_are_no_subaddresses() -> None:
    assert not owned(LOGIN, "alice+x@example.org", addressing=Addressing(separator=""))


@pytest.mark.parametrize(
    "address", ["dora@example.org", "dora+x@example.org", "dora+x+y@example.org"]
)
def test_a_mailbox_kept_elsewhere_owns_its_address(address: str) -> None:
    dora = Login("dora", Address("dora", "example.org"))

    assert owned(dora, address)
    assert not owned(dora, "alice@example.org")


def test_an_account_elsewhere_owns_the_aliases_that_lead_to_it() -> None:
    carol = Login("carol", Address("carol", "elsewhere.example"))

    assert owned(carol, "away@example.org")
    assert owned(carol, "carol+x@elsewhere.example")
    assert not owned(carol, "dave@elsewhere.example")


def test_an_app_password_may_send_as_its_one_address_and_only_while_that_is_owned() -> None:
    sales, theirs = Address("sales", "example.org"), Address("theirs", "example.org")
    bound = Login("alice@example.org", ALICE, label="shop", only_from=sales)
    stolen = Login("alice@example.org", ALICE, label="shop", only_from=theirs)

    assert owned(bound, "Sales@example.org")
    assert not owned(bound, "sales+x@example.org")
    assert not owned(bound, "alice@example.org")
    assert not owned(stolen, "theirs@example.org")


@pytest.mark.parametrize("account", ["alice", "Alice", "alice@example.org"])
def test_a_system_user_owns_the_mailbox_of_that_name(account: str) -> None:
    assert owned(Login(account), "sales@example.org")


@pytest.mark.parametrize("account", ["nobody", "a b", "alice@example.com", ""])
def test_a_system_user_without_one_owns_nothing(account: str) -> None:
    assert not owned(Login(account), "alice@example.org")
    assert not owned(Login(account), "nobody@example.org")


def test_a_system_user_has_what_is_listed_for_him() -> None:
    assert owned(Login("backup"), "root@db.example")


def test_a_system_user_has_what_is_listed_for_his_mailbox() -> None:
    assert owned(Login("alice"), "office@elsewhere.example")


def test_without_any_domain_of_ours_the_realm_is_this_host() -> None:
    directory = MemoryDirectory([], ["alice@mx.example.org"])
    config = Config(hostname="mx.example.org")
    own = Ownership(Router(directory, config), directory, config)

    assert own(Login("alice"), Address("alice", "mx.example.org"))
    assert not own(Login("alice"), ALICE)


def test_the_realm_can_be_another_domain() -> None:
    directory = MemoryDirectory(["example.org", "example.net"], ["alice@example.net"])
    own = ownership(directory, auth=Auth(realm="example.net"))

    assert own(Login("alice"), Address("alice", "example.net"))
    assert not own(Login("alice"), ALICE)


def test_the_owner_of_a_list_is_found_however_it_is_nested() -> None:
    chain = {f"l{n}@example.org": [f"l{n + 1}@example.org"] for n in range(8)}
    chain["l8@example.org"] = ["alice@example.org"]

    own = ownership(MemoryDirectory(["example.org"], ["alice@example.org"], chain))

    assert own(LOGIN, Address("l0", "example.org"))


def test_an_alias_too_large_to_be_walked_is_nobodys() -> None:
    crowd = [f"u{n}@elsewhere.example" for n in range(MAX_TARGETS + 1)]
    aliases = {"crowd@example.org": ["alice@example.org", *crowd]}

    own = ownership(MemoryDirectory(["example.org"], ["alice@example.org"], aliases))

    assert not own(LOGIN, Address("crowd", "example.org"))
