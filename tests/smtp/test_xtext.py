"""xtext and the address forms of RFC 6533."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.smtp.xtext import decode_orcpt, decode_xtext, encode_orcpt, encode_xtext

graphic = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))
unicode_text = st.text(
    st.characters(min_codepoint=0x20, exclude_categories=("Cs", "Cc")), min_size=1
)


@given(graphic)
def test_decoding_what_was_encoded_gives_the_text(text: str) -> None:
    assert decode_xtext(encode_xtext(text)) == text


@given(graphic)
def test_encoded_xtext_holds_neither_space_nor_equals_sign(text: str) -> None:
    assert not set(encode_xtext(text)) & set(" =")


def test_a_character_in_hex_is_decoded() -> None:
    assert decode_xtext("AA+2BBB+3DCC+20DD") == "AA+BB=CC DD"


@pytest.mark.parametrize(
    "text",
    ["+", "++", "+2", "+2b", "+zz", "a=b", "a b", "é", "+0D+0A", "+00", "+7F", "+C3+A9", "a\n"],
)
def test_what_is_not_printable_xtext_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="xtext"):
        decode_xtext(text)


@pytest.mark.parametrize("text", ["\n", "\x7f", "é"])
def test_only_printable_ascii_is_encoded(text: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        encode_xtext(text)


def test_orcpt_of_rfc822_is_decoded_from_xtext() -> None:
    assert decode_orcpt("rfc822;a+3Db@c.example") == "rfc822;a=b@c.example"


def test_orcpt_of_any_type_is_decoded_from_xtext() -> None:
    assert decode_orcpt("x400;/C+3Dus") == "x400;/C=us"


@pytest.mark.parametrize(
    "value",
    ["", "rfc822", "rfc822;", ";a@b", "r c;a@b", "rfc822;a@é", "rfc(822);a", "++", "rfc822;++"],
)
def test_orcpt_without_type_or_address_or_in_another_form_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"type;address|xtext"):
        decode_orcpt(value)


def test_utf8_orcpt_is_read_in_both_forms() -> None:
    assert decode_orcpt(r"utf-8;\x{416}@b") == "utf-8;Ж@b"
    assert decode_orcpt("UTF-8;Ж@b") == "UTF-8;Ж@b"


def test_utf8_in_an_rfc822_orcpt_as_postfix_sends_it_is_a_utf8_address() -> None:
    assert decode_orcpt("rfc822;+D0+B4+D0+B8+D0+BC+D0+B0@example.org") == "utf-8;дима@example.org"


@pytest.mark.parametrize(
    "address",
    ["+D0@example.org", "+C2+85@example.org", "+D0+B4\x01@example.org"],
    ids=["half a character", "a control", "no xtext"],
)
def test_octets_in_an_rfc822_orcpt_that_are_no_printable_utf8_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match="xtext"):
        decode_orcpt(f"rfc822;{address}")


def test_utf8_orcpt_has_hex_for_what_xtext_and_the_escape_need() -> None:
    assert decode_orcpt(r"utf-8;a\x{2B}b\x{3D}\x{5C}\x{20}@c") == "utf-8;a+b=\\ @c"


@pytest.mark.parametrize(
    "address",
    [
        "a+2Bb",
        "a=b",
        "a b",
        "a\\b",
        r"\x{41}",
        r"\x{0D}",
        r"\x{A}",
        r"\x{80}",
        r"\x{9F}",
        r"\x{}",
        r"\x{D800}",
        r"\x{DFFF}",
        r"\x{110000}",
        r"\x{FFFFFF}",
        r"\x{0416}",
        r"\x{416",
        "a\x85",
        "\ud800",
    ],
)
def test_utf8_orcpt_outside_rfc_6533_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"utf-8-addr|Unicode"):
        decode_orcpt(f"utf-8;{address}")


@given(unicode_text, st.booleans())
def test_utf8_orcpt_survives_encoding_and_decoding(address: str, smtputf8: bool) -> None:
    orcpt = f"utf-8;{address}"

    encoded = encode_orcpt(orcpt, smtputf8=smtputf8)

    assert decode_orcpt(encoded) == orcpt
    assert smtputf8 or encoded.isascii()


@given(graphic.filter(bool), st.booleans())
def test_rfc822_orcpt_survives_encoding_and_decoding(address: str, smtputf8: bool) -> None:
    assert decode_orcpt(encode_orcpt(f"rfc822;{address}", smtputf8=smtputf8)) == f"rfc822;{address}"


def test_characters_beyond_ascii_have_no_form_in_another_type() -> None:
    with pytest.raises(ValueError, match="printable"):
        encode_orcpt("rfc822;é@b", smtputf8=True)


@pytest.mark.parametrize("point", ["FC", "D7FF", "E000", "10FFFF"])
def test_the_edges_of_unicode_can_be_written_in_hex(point: str) -> None:
    assert decode_orcpt(f"utf-8;\\x{{{point}}}") == f"utf-8;{chr(int(point, 16))}"


def test_utf8_stands_for_itself_only_where_smtputf8_is_in_use() -> None:
    assert encode_orcpt("utf-8;jürgen@b", smtputf8=True) == "utf-8;jürgen@b"
    assert encode_orcpt("utf-8;jürgen@b", smtputf8=False) == "utf-8;j\\x{FC}rgen@b"


def test_utf8_beside_its_octets_in_hex_is_no_xtext() -> None:
    with pytest.raises(ValueError, match="xtext"):
        decode_orcpt("rfc822;ü+C3+BC@b")
