"""What a message asks of the next hop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.header import MAX_HEADER
from notqmail.mail.traits import ASCII, Traits, TraitScanner, traits_of

BODY = Traits(eightbit_header=False, eightbit=True)
HEADER = Traits(eightbit_header=True, eightbit=True)


@pytest.mark.parametrize(
    ("content", "traits"),
    [
        (b"", ASCII),
        (b"Subject: x\r\n\r\ny\r\n", ASCII),
        (b"Subject: x\r\n\r\n\xff\r\n", BODY),
        (b"Subject: \xc3\xa4\r\n\r\ny\r\n", HEADER),
        (b"\r\nSubject: \xc3\xa4\r\n", BODY),
        (b"Subject: \xc3\xa4", HEADER),
    ],
)
def test_octets_beyond_ascii_are_found_where_they_are(content: bytes, traits: Traits) -> None:
    assert traits_of(content) == traits


@given(
    st.lists(
        st.sampled_from([b"a", b"\r\n", b"\r", b"\n", b"\xff", b": ", b"\r\n\r\n"]), max_size=12
    ),
    st.integers(1, 5),
)
def test_pieces_say_the_same_as_the_whole(parts: list[bytes], size: int) -> None:
    content = b"".join(parts)
    scanner = TraitScanner()
    for at in range(0, len(content), size):
        scanner.feed(content[at : at + size])

    assert scanner.traits == traits_of(content)


def test_scanner_knows_when_nothing_more_can_change() -> None:
    scanner = TraitScanner()
    scanner.feed(b"Subject: x\r\n")
    assert not scanner.header_seen

    scanner.feed(b"\r\n")
    assert scanner.header_seen
    assert not scanner.settled

    scanner.feed(b"\xff")
    assert scanner.settled
    scanner.feed(b"more")
    assert scanner.traits == BODY


def test_header_without_end_is_not_held_beyond_the_bound() -> None:
    scanner = TraitScanner()
    scanner.feed(b"x" * (MAX_HEADER + 1))

    assert scanner.header_seen
