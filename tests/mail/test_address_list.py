"""Address lists: what people write is read, what is no address is told, and no text takes long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.address import Address
from notqmail.mail.address_list import AddressList, read_addresses


def read(value: str, domain: str = "") -> tuple[list[str], list[str]]:
    found = read_addresses(value.encode("utf-8", "surrogateescape"), domain)
    return [str(address) for address in found.addresses], list(found.unreadable)


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        ("", []),
        ("a@b", ["a@b"]),
        ("a@b, c@d", ["a@b", "c@d"]),
        (",, a@b,", ["a@b"]),
        ("Alice <a@b>", ["a@b"]),
        ('"Smith, J. (x" <j@x.y>', ["j@x.y"]),
        ("a@b (a comment (nested \\) , <x@y>))", ["a@b"]),
        ('(one " quote) a@b (c)', ["a@b"]),
        ("friends: a@b, C <c@d>;, e@f", ["a@b", "c@d", "e@f"]),
        ("undisclosed-recipients:;", []),
        ("foo: a@b.c, d@e.f", ["a@b.c", "d@e.f"]),
        ("<@relay,@other:joe@c>", ["joe@c"]),
        ("a @ b . c", ["a@b.c"]),
        ('"q \\" @ r"@z', ['"q \\" @ r"@z']),
        ("a@[10.0.0.1], b@[IPv6:::1]", ["a@[10.0.0.1]", "b@[IPv6:::1]"]),
        ("Jörg <jörg@exämple.org>", ["jörg@xn--exmple-cua.org"]),
        ("=?utf-8?q?x=40y?= <a@b>", ["a@b"]),
    ],
)
def test_addresses_are_found(value: str, addresses: list[str]) -> None:
    assert read(value) == (addresses, [])


@pytest.mark.parametrize(
    ("value", "unreadable"),
    [
        ("root", ["root"]),
        ("a@b c@d", ["a@b c@d"]),
        ("<>", ["<>"]),
        ("<a@b> junk", ["<a@b> junk"]),
        ("<<a@b>>", ["<<a@b>>"]),
        ("a@b>", ["a@b>"]),
        ("<a@b", ["<a@b"]),
        ("<a@b <c@d>", ["<a@b <c@d>"]),
        ('"open <a@b>', ['"open <a@b>']),
        ("a\0b@c", ["a?b@c"]),
        ("\udcff@x", ["?@x"]),
    ],
)
def test_what_is_no_address_is_told(value: str, unreadable: list[str]) -> None:
    assert read(value) == ([], unreadable)


def test_a_comment_left_open_swallows_nothing_in_silence() -> None:
    addresses, unreadable = read("x@y, a@b (open, c@d")

    assert addresses == ["x@y"]
    assert len(unreadable) == 1


def test_one_bad_item_leaves_the_others() -> None:
    assert read("a@b, nonsense here, c@d") == (["a@b", "c@d"], ["nonsense here"])


@pytest.mark.parametrize(
    "value",
    [
        "<bob@x.example>:alice@example.org",
        "Bob <bob@x.example>:;, alice@example.org",
        "bob@x.example: alice@example.org;",
        "<@a.example,@b.example:alice@example.org>",
        "bob@x.example <alice@example.org>",
        "bob @ x.example <alice@example.org>",
        "a@b.example: bob@x.example <alice@example.org>;",
    ],
)
def test_what_others_may_take_for_another_address_is_told(value: str) -> None:
    found = read_addresses(value.encode())

    assert str(found.addresses[-1]) == "alice@example.org"
    assert found.ambiguous


@pytest.mark.parametrize(
    "value",
    [
        "alice@example.org",
        "Alice <alice@example.org>",
        "alice@example.org <alice@example.org>",
        "Alice@Example.org <alice@example.org>",
        '"bob@x.example" <alice@example.org>',
        "(bob@x.example) <alice@example.org>",
        "friends: alice@example.org, Alice <alice@example.org>;",
        "undisclosed-recipients:;",
    ],
)
def test_what_names_one_address_alone_is_not(value: str) -> None:
    assert read_addresses(value.encode()).ambiguous == ()


def test_a_local_part_alone_gets_the_domain() -> None:
    assert read('root, "a@b", <bob>', "x.y") == (["root@x.y", '"a@b"@x.y', "bob@x.y"], [])


@given(st.lists(st.from_regex(r"[a-z]{1,8}@[a-z]{1,8}\.org", fullmatch=True), max_size=6))
def test_what_was_joined_is_read_back(addresses: list[str]) -> None:
    value = ", ".join(f'"A, ({a}" <{a}>' for a in addresses)

    assert read(value) == (addresses, [])


@given(st.one_of(st.binary(), st.text('"\\()<>[]@.,:;a \r\n\t').map(str.encode)))
def test_no_octets_break_it_and_what_it_finds_is_an_address(value: bytes) -> None:
    found = read_addresses(value, "x.y")

    assert isinstance(found, AddressList)
    assert all(Address.parse(str(address)) == address for address in found.addresses)


@pytest.mark.parametrize(
    "unit", ['"', '"\\', "[", "(", " ", "a,", "<", '\\"', " .", '"a', "(\\", "a:", '[\\"', "<,"]
)
def test_time_grows_with_length_only(unit: str) -> None:
    read(unit * 10_000, "x.y")  # quadratic time is 100 times as long, and noticed
