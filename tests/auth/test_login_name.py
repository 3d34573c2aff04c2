import pytest

from notqmail.auth.login_name import key, mailbox, read_name


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"alice@example.org", "alice@example.org"),
        (b"\xe2\x85\xa8", "IX"),
        (b"x" * 255, "x" * 255),
        (b"x" * 256, None),
        (b"", None),
        (b"a\0", None),
        (b"a\n", None),
        (b"\xff", None),
        ("a\u2066b".encode(), None),
        (b"\xed\xa0\x80", None),
    ],
)
def test_name_is_prepared_or_none(octets: bytes, name: str | None) -> None:
    assert read_name(octets) == name


@pytest.mark.parametrize(
    ("user", "same"),
    [
        ("alice@example.org", "alice@example.org"),
        ("ALICE@Example.ORG", "alice@example.org"),
        ("Alice", "alice@example.org"),
        ("postmaster", "postmaster@example.org"),
        ("ÄÖ@bücher.example", "äö@xn--bcher-kva.example"),
        ("a b", "a b"),
        ("@", "@"),
    ],
)
def test_spellings_of_one_mailbox_are_one_name(user: str, same: str) -> None:
    assert key(user, "example.org") == same


def test_without_a_realm_a_local_part_is_no_mailbox() -> None:
    assert mailbox("alice", "") is None
    assert mailbox("alice", "example.org") is not None
