"""MIME parts we write."""

from email import message_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.mime import MAX_LINE, part, seven_bit


def encoding(octets: bytes) -> str:
    return message_from_bytes(octets)["Content-Transfer-Encoding"] or ""


@pytest.mark.parametrize(
    ("data", "eight_bit", "expected"),
    [
        (b"plain\r\n", False, ""),
        (b"", False, ""),
        ("grün\r\n".encode(), False, "quoted-printable"),
        ("grün\r\n".encode(), True, "8bit"),
        (b"gr\xfcn\r\n", True, "base64"),
        (b"gr\xfcn\r\n", False, "base64"),
        (b"bare\nLF\r\n", False, "base64"),
        (b"bare\rCR\r\n", False, "base64"),
        (b"N\0L\r\n", False, "base64"),
        (b"x" * MAX_LINE + b"\r\n", False, ""),
        (b"x" * (MAX_LINE + 1) + b"\r\n", True, "base64"),
    ],
)
def test_encoding_is_the_lightest_that_is_needed(
    data: bytes, eight_bit: bool, expected: str
) -> None:
    assert encoding(part("text/plain", data, eight_bit=eight_bit)) == expected


@pytest.mark.parametrize("data", [b"ok\r\n", b""])
def test_seven_bit_data_needs_no_encoding(data: bytes) -> None:
    assert seven_bit(data)


@given(st.binary(max_size=3000) | st.text(max_size=500).map(str.encode))
def test_any_data_reads_back_and_is_clean_on_the_way(data: bytes) -> None:
    octets = part("application/octet-stream", data)

    assert seven_bit(octets)
    assert message_from_bytes(octets).get_payload(decode=True) == data


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300))
def test_text_reads_back_whatever_its_encoding(text: str) -> None:
    for eight_bit in (False, True):
        parsed = message_from_bytes(part("text/plain", text.encode(), eight_bit=eight_bit))
        assert parsed.get_payload(decode=True) == text.encode()
