from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.delivery.letter import LetterStream, letter_for, octets, trace
from notqmail.mail.address import Address
from tests.support.local_mail import local_entry

ALICE = Address.parse("alice@example.org")
TRACE = b"Return-Path: <bob@example.net>\nDelivered-To: alice@example.org\n"


def streamed(parts: list[bytes]) -> bytes:
    stream = LetterStream(TRACE)
    return b"".join([*(stream.feed(part) for part in parts), stream.finish()])


def test_trace_names_sender_and_recipient() -> None:
    assert trace(local_entry(), ALICE) == TRACE


def test_null_sender_is_an_empty_return_path() -> None:
    assert trace(local_entry(sender=None), ALICE).startswith(b"Return-Path: <>\n")


def test_quoted_and_international_addresses_stand_as_on_the_wire() -> None:
    fields = trace(local_entry(sender='"a b"@example.net'), Address.parse("jürgen@example.org"))

    assert fields.decode() == 'Return-Path: <"a b"@example.net>\nDelivered-To: jürgen@example.org\n'


@pytest.mark.parametrize("field", ["Return-Path", "RETURN-PATH", "return-path "])
def test_earlier_return_paths_are_removed(field: str) -> None:
    message = (
        f"{field}: <x@y>\r\nSubject: s\r\n{field}:\r\n <z@y>\r\n\r\nReturn-Path: b\r\n".encode()
    )

    assert octets(TRACE, message) == TRACE + b"Subject: s\n\nReturn-Path: b\n"


def test_lines_end_in_lf() -> None:
    assert octets(b"", b"a: b\r\n\r\nc\r\n\r\n") == b"a: b\n\nc\n\n"


def test_message_without_content_is_its_trace() -> None:
    assert octets(TRACE, b"") == TRACE
    assert streamed([]) == TRACE


@given(
    st.binary(max_size=40).map(lambda b: b"Subject: s\r\nReturn-Path: <x@y>\r\n\r\n" + b),
    st.lists(st.integers(0, 80), max_size=6),
)
def test_stream_gives_the_same_octets_however_it_is_cut(message: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(message)) for cut in cuts), len(message)]
    parts = [message[a:b] for a, b in pairwise(edges)]

    assert streamed(parts) == octets(TRACE, message)


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"x", b""]), max_size=12))
def test_crlf_is_found_across_chunks_and_a_bare_cr_is_kept(body: list[bytes]) -> None:
    header = b"a: b\r\n\r\n"

    assert streamed([header, *body]) == octets(TRACE, header + b"".join(body))


def test_letter_of_a_folder_has_its_maildir_as_home() -> None:
    letter = letter_for(local_entry(token=7), ALICE, "/m/Maildir", ".Junk", "h")

    assert (letter.maildir, letter.home) == ("/m/Maildir/.Junk", "/m/Maildir")
    assert letter.tmp == f"tmp/{letter.name}.7"


def test_only_a_recovered_entry_looks_for_earlier_deliveries() -> None:
    assert letter_for(local_entry(recovered=True), ALICE, "/m", "", "h").look
    assert not letter_for(local_entry(), ALICE, "/m", "", "h").look
