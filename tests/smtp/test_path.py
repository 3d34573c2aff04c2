"""Reverse-paths and forward-paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.address import Address
from notqmail.smtp.path import Path, parse_path
from notqmail.smtp.refused import RefusedError


def parse(text: str) -> Path:
    return parse_path(text, "5.1.3")


def refusal(text: str) -> str:
    with pytest.raises(RefusedError) as caught:
        parse_path(text, "5.1.7")
    assert caught.value.reply.code == 501
    assert caught.value.reply.enhanced == "5.1.7"
    return caught.value.reply.text


def test_a_path_gives_its_address_and_what_follows() -> None:
    assert parse("<a.b+c@Example.ORG> SIZE=1") == Path(
        Address("a.b+c", "example.org"), False, " SIZE=1"
    )


def test_the_null_path_has_no_address() -> None:
    assert parse("<> X") == Path(None, False, " X")


def test_a_quoted_local_part_may_hold_what_ends_a_path() -> None:
    assert parse(r'<"a> @\"b"@c> X') == Path(Address('a> @"b', "c"), False, " X")


def test_quoting_that_is_not_needed_makes_no_other_address() -> None:
    assert parse('<"ab"@c>').address == parse("<ab@c>").address


def test_postmaster_needs_no_domain() -> None:
    assert parse("<PostMaster>").address == Address("PostMaster", "")


def test_a_source_route_is_dropped() -> None:
    assert parse("<@hosta.int,@jkl.org:userc@d.bar.org>").address == Address("userc", "d.bar.org")


def test_an_address_literal_is_a_domain() -> None:
    assert parse("<a@[192.0.2.1]>").address == Address("a", "[192.0.2.1]")
    assert parse("<a@[IPv6:2001:DB8::1]>").address == Address("a", "[IPv6:2001:db8::1]")


def test_a_utf8_local_part_is_marked() -> None:
    assert parse("<ж@example.org>") == Path(Address("ж", "example.org"), True, "")


def test_a_u_label_is_marked_although_its_address_is_ascii() -> None:
    path = parse("<a@bücher.example>")

    assert path == Path(Address("a", "xn--bcher-kva.example"), True, "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a@b",
        "a@b>",
        "<a@b",
        " <a@b>",
        "<<a@b>>",
        "< a@b>",
        "<a @b>",
        "<a@b >",
        '<"a@b>',
        '<"a\\"@b>',
        '<a" "b@c',
        "Name <a@b>",
    ],
)
def test_a_path_without_its_brackets_is_refused_with_the_remedy(text: str) -> None:
    assert refusal(text).endswith("use <user@domain>")


@pytest.mark.parametrize(
    "text",
    [
        "<a>",
        "<@b>",
        "<a@>",
        "<@>",
        "<.a@b>",
        "<a.@b>",
        "<a..b@c>",
        "<a@b@c>",
        "<a@-b>",
        "<a@b->",
        "<a@b.>",
        "<a@.b>",
        "<a@b..c>",
        "<a@b_c>",
        "<a(x)@b.c>",
        "<a@b.c(x)>",
        "<a,b@c>",
        "<a:b@c>",
        "<a@[>",
        "<a@[]>",
        "<a@[192.0.2.256]>",
        "<a@[192.0.2.1>",
        "<a@[IPv6:192.0.2.1]>",
        "<a@[IPv6:fe80::1%eth0]>",
        "<a@[X:1]>",
        '<"a"b@c>',
        '<a"b"@c>',
        '<"a"."b"@c>',
        '<"">',
        "<@a:b>",
        "<@a:postmaster>",
        "<@a,b:c@d>",
        "<@a,:c@d>",
        "<@a_b:c@d>",
        "<@[192.0.2.1]:c@d>",
        "<@a,@b@c>",
        "<a\x00b@c>",
        "<a\x7fb@c>",
        '<"a\x00"@c>',
        "<a\x85@c>",
        "<a@xn--0.example>",
    ],
)
def test_a_path_outside_the_grammar_is_refused(text: str) -> None:
    assert refusal(text)


def test_64_octets_of_local_part_are_enough() -> None:
    assert parse(f"<{'a' * 64}@b>").address == Address("a" * 64, "b")
    assert "64 octets" in refusal(f"<{'a' * 65}@b>")
    assert "64 octets" in refusal(f"<{'ж' * 33}@b>")


def test_256_octets_of_path_are_enough_with_its_brackets_and_its_route() -> None:
    domain = ".".join(["d" * 61] * 4)[:252]
    assert parse(f"<a@{domain}>".ljust(256))
    route = f"@{'r' * 60}," * 3
    longest = 256 - len(f"<{route}@:a@b>")

    assert parse(f"<{route}@{'r' * longest}:a@b>").address == Address("a", "b")
    assert "256 octets" in refusal(f"<{route}@{'r' * (longest + 1)}:a@b>")


def test_a_path_that_is_too_long_once_its_domain_is_in_ascii_is_refused() -> None:
    label = "ü" * 20  # 40 octets, and as an A-label longer than its characters
    domain = ".".join([label] * 6)

    assert "octets" in refusal(f"<{'a' * 9}@{domain}>") or "domain" in refusal(f"<a@{domain}>")


ATEXT = "abcXYZ019!#$%&'*+/=?^_`{|}~-"
nearly_simple = st.builds(
    "{}@{}".format,
    st.text(st.sampled_from(ATEXT + '.."@ \\'), max_size=70),
    st.text(st.sampled_from("abC019-.._@xn"), max_size=80),
)


@given(nearly_simple)
def test_the_shortcut_for_simple_paths_reads_the_same_language(mailbox: str) -> None:
    # a source route switches the shortcut off, and is dropped
    try:
        plain: Address | None = parse(f"<{mailbox}>").address
    except RefusedError:
        plain = None
    try:
        routed: Address | None = parse(f"<@r:{mailbox}>").address
    except RefusedError:
        routed = None

    assert plain == routed


@given(st.text(max_size=300))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    try:
        rest = parse(text).rest
    except RefusedError:
        rest = ""

    assert text.endswith(rest)


def test_a_route_ends_at_its_first_colon() -> None:
    assert parse("<@a.example:x@[IPv6:2001:db8::1]>").address == Address("x", "[IPv6:2001:db8::1]")
