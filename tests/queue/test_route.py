"""Where recipients go."""

from collections.abc import Mapping, Sequence

import pytest

from notqmail.config import Addressing, Config, Domain, Outbound, To
from notqmail.mail.address import Address
from notqmail.mail.envelope import Notify, Recipient
from notqmail.mail.hop import Hop
from notqmail.queue.refused import TRANSPORT as REFUSED
from notqmail.queue.resolution import Kind
from notqmail.queue.route import MAX_DEPTH, MAX_TARGETS, TOO_DEEP, Router
from tests.support.directory import MemoryDirectory

ALICE = Hop("local", "alice@example.org")


def router(
    aliases: Mapping[str, Sequence[str]] | None = None,
    *,
    mailboxes: Sequence[str] = ("alice@example.org", "bob@example.org"),
    domains: Sequence[str] = ("example.org", "other.example"),
    postmaster: str = "",
    smarthost: str = "",
    separator: str = "+",
    ours: str = "192.0.2.1",
) -> Router:
    return Router(
        MemoryDirectory(domains, mailboxes, aliases),
        Config(
            hostname="mx.example.org",
            domain=tuple(Domain(name=name) for name in domains),
            postmaster=postmaster,
            outbound=Outbound(smarthost=smarthost),
            addressing=Addressing(separator=separator),
        ),
        lambda ip: str(ip) == ours,
    )


def hops(routes: Router, address: str) -> list[str]:
    """Destinations of an address; what is refused by its status."""
    found = routes.route(Recipient(Address.parse(address)), None)
    return [
        hop.nexthop.split(" ")[1] if hop.transport == REFUSED else hop.destination
        for _, hop in found
    ]


def test_way_out_depends_on_who_sends() -> None:
    table = To(name="t", senders=("@other.example",), smarthost="relay.example:587")
    routes = Router(
        MemoryDirectory(("example.org",), (), {"out@example.org": ["carol@example.net"]}),
        Config(
            hostname="mx.example.org",
            domain=(Domain(name="example.org"),),
            outbound=Outbound(to=(table,)),
        ),
    )

    found = [
        routes.route(Recipient(Address.parse(to)), Address.parse(sender) if sender else None)[0][1]
        for to in ("carol@example.net", "out@example.org")
        for sender in ("bob@other.example", "bob@example.org", "")
    ]

    assert [hop.nexthop for hop in found] == [
        *("relay.example:587;t", "example.net", "example.net"),
        *("relay.example:587;t", "example.net", "example.net"),
    ]


def kind(routes: Router, address: str) -> Kind:
    return routes.resolve(Address.parse(address)).kind


# -- the order --------------------------------------------------------------------------------------------------


def test_mailbox_is_local() -> None:
    assert router().route(Recipient(Address.parse("alice@example.org")), None) == (
        (Recipient(Address.parse("alice@example.org")), ALICE),
    )


def test_mailbox_is_found_in_any_case_and_the_address_stays_as_given() -> None:
    [(recipient, hop)] = router().route(Recipient(Address.parse("ALICE@Example.ORG")), None)

    assert str(recipient.address) == "ALICE@example.org"
    assert hop == ALICE


def test_mailbox_goes_before_an_alias_of_the_same_name() -> None:
    routes = router({"alice@example.org": ["carol@example.net"]})

    assert kind(routes, "alice@example.org") is Kind.MAILBOX


def test_exact_alias_goes_before_the_mailbox_of_a_subaddress() -> None:
    routes = router({"alice+list@example.org": ["carol@example.net"]})

    assert hops(routes, "alice+list@example.org") == ["smtp:example.net"]


def test_subaddress_finds_the_mailbox() -> None:
    routes = router()

    assert hops(routes, "Alice+Tag@example.org") == ["local:alice@example.org"]
    assert kind(routes, "alice+tag@example.org") is Kind.SUBADDRESS


def test_subaddress_finds_the_alias() -> None:
    routes = router({"sales@example.org": ["bob@example.org"]})

    assert hops(routes, "sales+x@example.org") == ["local:bob@example.org"]


def test_subaddress_goes_before_the_catch_all() -> None:
    routes = router({"@example.org": ["bob@example.org"]})

    assert hops(routes, "alice+x@example.org") == ["local:alice@example.org"]


def test_separator_can_be_another_or_none() -> None:
    assert kind(router(separator="-"), "alice-x@example.org") is Kind.SUBADDRESS
    assert kind(router(separator="-"), "alice+x@example.org") is Kind.UNKNOWN
    assert kind(router(separator=""), "alice+x@example.org") is Kind.UNKNOWN


def test_local_part_that_begins_with_the_separator_has_no_base() -> None:
    assert kind(router({"@example.org": ["bob@example.org"]}), "+x@example.org") is Kind.CATCH_ALL


def test_catch_all_takes_the_rest_of_its_own_domain_alone() -> None:
    routes = router({"@example.org": ["bob@example.org"]})

    assert hops(routes, "whoever@example.org") == ["local:bob@example.org"]
    assert kind(routes, "whoever@other.example") is Kind.UNKNOWN


def test_unknown_is_refused_with_5_1_1() -> None:
    resolution = router().judge(Address.parse("nobody@example.org"))

    assert not resolution.accepts
    assert resolution.reply is not None
    assert resolution.reply.enhanced == "5.1.1"


def test_unknown_recipient_in_the_queue_has_a_hop_that_refuses_it() -> None:
    assert hops(router(), "nobody@example.org") == ["5.1.1"]


def test_non_ascii_local_parts_are_compared_in_nfc_and_without_case() -> None:
    routes = router(mailboxes=["jörg@example.org"])

    assert hops(routes, "JO\u0308RG@example.org") == ["local:jörg@example.org"]


def test_u_label_and_a_label_are_one_domain() -> None:
    routes = router(domains=["bücher.example"], mailboxes=["alice@bücher.example"])

    assert kind(routes, "alice@xn--bcher-kva.example") is Kind.MAILBOX


# -- postmaster and abuse ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["postmaster", "PostMaster", "abuse"])
def test_special_address_without_any_entry_has_an_implicit_mailbox(name: str) -> None:
    assert hops(router(), f"{name}@other.example") == ["local:postmaster@other.example"]


def test_special_address_goes_to_the_configured_postmaster() -> None:
    routes = router(postmaster="admin@example.net")

    assert hops(routes, "abuse@example.org") == ["smtp:example.net"]
    assert kind(routes, "abuse@example.org") is Kind.POSTMASTER


def test_special_address_prefers_an_entry_of_its_own() -> None:
    routes = router({"abuse@example.org": ["bob@example.org"]}, postmaster="alice@example.org")

    assert hops(routes, "abuse@example.org") == ["local:bob@example.org"]
    assert hops(routes, "postmaster@example.org") == ["local:alice@example.org"]


def test_special_address_goes_before_the_catch_all() -> None:
    routes = router({"@example.org": ["bob@example.org"]})

    assert hops(routes, "postmaster@example.org") == ["local:postmaster@example.org"]


@pytest.mark.parametrize("configured", ["postmaster@example.org", "gone@example.org", "postmaster"])
def test_configured_postmaster_that_leads_nowhere_loses_nothing(configured: str) -> None:
    routes = router(postmaster=configured)

    assert hops(routes, "postmaster@example.org") == ["local:postmaster@example.org"]


def test_postmaster_without_a_domain_is_the_configured_one() -> None:
    assert hops(router(postmaster="bob@example.org"), "Postmaster") == ["local:bob@example.org"]
    abroad = router(postmaster="admin@example.net")
    assert hops(abroad, "Postmaster") == ["smtp:example.net"]
    resolution = abroad.resolve(Address.parse("Postmaster"))
    assert (resolution.kind, resolution.entry) == (Kind.POSTMASTER, "")


def test_postmaster_without_a_domain_is_the_first_domains() -> None:
    assert hops(router(), "postmaster") == ["local:postmaster@example.org"]


def test_postmaster_without_any_domain_of_ours_is_this_hosts() -> None:
    assert hops(router(domains=[], mailboxes=[]), "postmaster") == [
        "local:postmaster@mx.example.org"
    ]


def test_double_bounces_go_to_the_configured_postmaster_or_the_first_domains() -> None:
    assert str(router(postmaster="admin@example.net").postmaster) == "admin@example.net"
    assert str(router().postmaster) == "postmaster@example.org"
    assert str(router(postmaster="postmaster").postmaster) == "postmaster@example.org"


# -- elsewhere --------------------------------------------------------------------------------------------------


def test_other_domains_go_by_mx() -> None:
    assert hops(router(), "carol@example.net") == ["smtp:example.net"]


def test_other_domains_go_to_the_smarthost_when_there_is_one() -> None:
    assert hops(router(smarthost="relay.example:587"), "x@example.net") == [
        "smtp:relay.example:587"
    ]


def test_literal_of_ours_means_the_first_domain() -> None:
    routes = router()

    assert hops(routes, "alice@[192.0.2.1]") == ["local:alice@example.org"]
    assert routes.is_local("[192.0.2.1]")


def test_literal_of_somebody_else_is_remote() -> None:
    routes = router()

    assert hops(routes, "alice@[192.0.2.9]") == ["smtp:[192.0.2.9]"]
    assert not routes.is_local("[192.0.2.9]")


def test_nobody_claims_an_address_unless_told_to() -> None:
    directory = MemoryDirectory(["example.org"], ["alice@example.org"])
    routes = Router(
        directory, Config(hostname="mx.example.org", domain=(Domain(name="example.org"),))
    )

    assert hops(routes, "alice@[192.0.2.1]") == ["smtp:[192.0.2.1]"]


def test_no_domain_is_local_for_it_means_our_postmaster() -> None:
    assert router().is_local("")


# -- aliases ----------------------------------------------------------------------------------------------------


def test_alias_expands_to_all_its_targets() -> None:
    routes = router({"sales@example.org": ["alice@example.org", "carol@example.net"]})

    assert hops(routes, "sales@example.org") == ["local:alice@example.org", "smtp:example.net"]


def test_expanded_recipient_keeps_notify_and_names_whom_the_sender_wrote_to() -> None:
    routes = router({"sales@example.org": ["carol@example.net"]})

    [(recipient, _)] = routes.route(
        Recipient(Address.parse("Sales@example.org"), Notify.SUCCESS), None
    )

    assert recipient == Recipient(
        Address.parse("carol@example.net"), Notify.SUCCESS, "rfc822;Sales@example.org"
    )


def test_expanded_recipient_keeps_an_orcpt_of_its_own() -> None:
    routes = router({"sales@example.org": ["carol@example.net"]})

    [(recipient, _)] = routes.route(
        Recipient(Address.parse("sales@example.org"), orcpt="rfc822;first@example.com"), None
    )

    assert recipient.orcpt == "rfc822;first@example.com"


def test_orcpt_of_a_non_ascii_alias_is_of_type_utf_8() -> None:
    routes = router({"büro@example.org": ["carol@example.net"]})

    [(recipient, _)] = routes.route(Recipient(Address.parse("büro@example.org")), None)

    assert recipient.orcpt == "utf-8;büro@example.org"


def test_aliases_expand_through_aliases_and_merge_duplicates() -> None:
    routes = router(
        {
            "all@example.org": ["a@example.org", "b@example.org"],
            "a@example.org": ["alice@example.org", "Carol@example.net"],
            "b@example.org": ["ALICE@example.org", "Carol@example.net", "carol@example.net"],
        }
    )

    found = routes.route(Recipient(Address.parse("all@example.org")), None)

    # only we may fold a local part, and only our own
    assert [str(recipient.address) for recipient, _ in found] == [
        "alice@example.org",
        "Carol@example.net",
        "carol@example.net",
    ]


def test_alias_that_meets_itself_adds_nothing() -> None:
    routes = router({"team@example.org": ["team@example.org", "alice@example.org"]})

    assert hops(routes, "team@example.org") == ["local:alice@example.org"]


def test_loop_with_nothing_else_is_refused_with_5_4_6() -> None:
    routes = router({"a@example.org": ["b@example.org"], "b@example.org": ["a@example.org"]})
    resolution = routes.judge(Address.parse("a@example.org"))

    assert not resolution.accepts
    assert resolution.reply is not None
    assert resolution.reply.enhanced == "5.4.6"
    assert hops(routes, "a@example.org") == ["5.4.6"]


def test_alias_to_nobody_is_refused_with_5_1_1() -> None:
    routes = router({"a@example.org": ["a@example.org", "gone@example.org"]})

    assert hops(routes, "a@example.org") == ["5.1.1"]


def test_dead_target_among_living_ones_is_told_to_the_sender() -> None:
    routes = router({"a@example.org": ["gone@example.org", "alice@example.org"]})

    assert routes.judge(Address.parse("a@example.org")).accepts
    assert hops(routes, "a@example.org") == ["5.1.1", "local:alice@example.org"]


def chain(length: int) -> dict[str, list[str]]:
    """a0 leads to a1 … and the last one to alice."""
    links = {f"a{n}@example.org": [f"a{n + 1}@example.org"] for n in range(length - 1)}
    return {**links, f"a{length - 1}@example.org": ["alice@example.org"]}


def test_aliases_may_nest_up_to_the_bound() -> None:
    assert hops(router(chain(MAX_DEPTH)), "a0@example.org") == ["local:alice@example.org"]


def test_aliases_deeper_than_the_bound_are_refused() -> None:
    assert hops(router(chain(MAX_DEPTH + 1)), "a0@example.org") == ["5.4.6"]


def test_too_many_targets_are_refused_as_a_whole() -> None:
    targets = [f"u{n}@example.net" for n in range(MAX_TARGETS)]

    assert hops(router({"a@example.org": targets}), "a@example.org") == ["5.4.6"]
    assert len(hops(router({"a@example.org": targets[1:]}), "a@example.org")) == MAX_TARGETS - 1


def test_aliases_that_multiply_are_cut_off() -> None:
    tree = {
        f"n{level}@example.org": [f"n{level + 1}@example.org"] * 10 for level in range(MAX_DEPTH)
    }

    assert kind(router(tree), "n0@example.org") is Kind.TOO_MANY


# -- the tree ---------------------------------------------------------------------------------------------------


def test_resolution_prints_as_plain_values() -> None:
    routes = router({"sales@example.org": ["alice@example.org", "gone@example.org"]})

    assert routes.resolve(Address.parse("sales+x@example.org")).plain() == {
        "address": "sales+x@example.org",
        "kind": "subaddress",
        "accepts": True,
        "entry": "sales@example.org",
        "children": [
            {
                "address": "alice@example.org",
                "kind": "mailbox",
                "accepts": True,
                "entry": "alice@example.org",
                "hop": "local:alice@example.org",
            },
            {
                "address": "gone@example.org",
                "kind": "unknown",
                "accepts": False,
                "reply": "550 5.1.1 no such mailbox here",
            },
        ],
    }


# -- what the tree says ---------------------------------------------------------------------------------------------


def test_subaddress_begins_at_the_first_separator() -> None:
    assert hops(router(), "alice+a+b@example.org") == ["local:alice@example.org"]


def test_special_address_names_the_rule_and_the_entry_that_decided() -> None:
    implicit = router().resolve(Address.parse("abuse@example.org"))
    configured = router(postmaster="bob@example.org").resolve(Address.parse("abuse@example.org"))

    assert (implicit.kind, implicit.entry) == (Kind.POSTMASTER, "")
    assert (configured.kind, configured.entry) == (Kind.POSTMASTER, "postmaster")


def test_catch_all_is_named_by_its_domain() -> None:
    routes = router({"@example.org": ["bob@example.org"]})

    assert routes.resolve(Address.parse("x@example.org")).entry == "@example.org"


def test_aliases_of_one_name_in_two_domains_are_no_loop() -> None:
    routes = router(
        {"info@example.org": ["info@other.example"], "info@other.example": ["alice@example.org"]}
    )

    assert hops(routes, "info@example.org") == ["local:alice@example.org"]


def test_loop_is_told_where_it_closes() -> None:
    routes = router({"a@example.org": ["b@example.org"], "b@example.org": ["a@example.org"]})

    [b] = routes.resolve(Address.parse("a@example.org")).children
    [closes] = b.children

    assert (closes.kind, closes.entry) == (Kind.LOOP, "a@example.org")


def test_alias_is_told_to_be_too_deep_where_the_bound_is() -> None:
    leaf = root = router(chain(MAX_DEPTH + 1)).resolve(Address.parse("a0@example.org"))
    while leaf.children:
        [leaf] = leaf.children

    assert (leaf.kind, leaf.reply, root.reply) == (Kind.TOO_DEEP, TOO_DEEP, TOO_DEEP)
    assert str(leaf.address) == leaf.entry == f"a{MAX_DEPTH}@example.org"


def test_alias_that_is_cut_off_is_named() -> None:
    tree = {
        f"n{level}@example.org": [f"n{level + 1}@example.org"] * 10 for level in range(MAX_DEPTH)
    }

    assert router(tree).resolve(Address.parse("n0@example.org")).entry == "n0@example.org"


def test_way_back_up_the_tree_is_remembered_to_the_root() -> None:
    routes = router(
        {
            "all@example.org": ["a@example.org", "all@example.org"],
            "a@example.org": ["b@example.org", "c@example.org"],
            "b@example.org": ["alice@example.org"],
            "c@example.org": ["a@example.org", "bob@example.org"],
        }
    )

    a, root = routes.resolve(Address.parse("all@example.org")).children
    b, c = a.children

    assert root.kind is Kind.LOOP
    assert [leaf.kind for leaf in (*b.children, *c.children)] == [
        Kind.MAILBOX,
        Kind.LOOP,
        Kind.MAILBOX,
    ]
