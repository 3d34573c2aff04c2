"""8-bit content made 7-bit. The standard library's parser is the judge of what a reader then sees."""

import email
import email.policy
import re
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.downgrade import MAX_DEPTH, CannotConvertError, to_seven_bit

PLAIN = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
TEXT = "Grüße und Küsse aus der Ferne, wo alles anders heißt.\r\n".encode()
DENSE = "Привет, как дела? Всё хорошо.\r\n".encode()


def read(content: bytes) -> Message:
    return email.message_from_bytes(content, policy=email.policy.compat32)


def leaves(content: bytes) -> list[bytes]:
    """The decoded bodies of all parts that have none below."""
    return [
        bytes(part.get_payload(decode=True) or b"")
        for part in read(content).walk()
        if not part.is_multipart()
    ]


def multipart(
    *parts: bytes, header: bytes = b"", kind: bytes = b"mixed", boundary: bytes = b"b"
) -> bytes:
    top = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/"
        + kind
        + b"; boundary="
        + boundary
        + b"\r\n"
    )
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return header + top + b"\r\n" + body + b"--" + boundary + b"--\r\n"


def check(content: bytes) -> bytes:
    """Convert; nothing that a reader sees may have changed."""
    made = to_seven_bit(content)
    assert made.isascii()
    assert leaves(made) == leaves(content)
    assert all(len(line) <= 998 for line in made.split(b"\r\n"))
    assert b"\n" not in made.replace(b"\r\n", b"")
    return made


def test_ascii_message_is_left_alone() -> None:
    content = PLAIN + b"Content-Transfer-Encoding: 8bit\r\n\r\nplain\r\n"

    assert to_seven_bit(content) is content


def test_mostly_ascii_text_becomes_quoted_printable() -> None:
    made = check(PLAIN + b"\r\n" + TEXT)

    assert made == PLAIN + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + (
        b"Gr=C3=BC=C3=9Fe und K=C3=BCsse aus der Ferne, wo alles anders hei=C3=9Ft.\r\n"
    )


def test_other_text_becomes_base64() -> None:
    assert b"Content-Transfer-Encoding: base64\r\n" in check(PLAIN + b"\r\n" + DENSE)


def test_what_is_no_text_becomes_base64() -> None:
    made = check(b"MIME-Version: 1.0\r\nContent-Type: image/png\r\n\r\n" + b"a" * 90 + b"\xff")

    assert b"Content-Transfer-Encoding: base64\r\n" in made


def test_encoding_field_is_replaced_where_it_stands() -> None:
    made = check(b"Content-transfer-encoding:\r\n 8bit\r\n" + PLAIN + b"A: 1\r\n\r\n" + TEXT)

    assert made.startswith(
        b"Content-Transfer-Encoding: quoted-printable\r\n" + PLAIN + b"A: 1\r\n\r\n"
    )


def test_second_encoding_field_goes() -> None:
    twice = b"Content-Transfer-Encoding: 8bit\r\n" * 2

    assert to_seven_bit(twice + PLAIN + b"\r\n" + TEXT).count(b"Transfer") == 1


def test_other_fields_keep_every_octet() -> None:
    header = b"Received: from x\r\n\tby y;  z\r\nsubject:  a   b \r\n" + PLAIN

    assert check(header + b"\r\n" + TEXT).startswith(header)


@pytest.mark.parametrize(
    ("body", "charset"), [(TEXT, b"utf-8"), (b"Gr\xfc\xdfe ohne Angabe\r\n", b"unknown-8bit")]
)
def test_message_without_mime_fields_gets_them(body: bytes, charset: bytes) -> None:
    made = check(b"Subject: x\r\n\r\n" + body)

    assert made.startswith(
        b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=" + charset + b"\r\n"
    )


def test_message_without_any_header_gets_one() -> None:
    assert to_seven_bit(b"\r\n" + TEXT).startswith(b"MIME-Version: 1.0\r\n")


def test_each_part_is_converted_by_itself() -> None:
    base64 = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA"
    made = check(multipart(b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + TEXT, base64))

    assert base64 in made
    assert made.count(b"quoted-printable") == 1


def test_part_without_a_header_is_text() -> None:
    assert b"\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" in check(
        multipart(b"\r\n" + TEXT)
    )


def test_label_of_a_converted_multipart_is_7bit() -> None:
    made = check(multipart(b"\r\n" + TEXT, header=b"Content-Transfer-Encoding: 8bit\r\n"))

    assert made.startswith(b"Content-Transfer-Encoding: 7bit\r\n")


def test_nested_multipart_is_converted() -> None:
    inner = multipart(b"\r\n" + TEXT, b"\r\n" + DENSE, kind=b"alternative", boundary=b"inner")

    check(multipart(inner, b"\r\nplain"))


def test_message_in_a_message_is_converted_and_not_encoded() -> None:
    inner = b"Subject: inner\r\n" + PLAIN + b"\r\n" + TEXT
    made = check(
        multipart(
            b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + inner
        )
    )

    assert (
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: inner\r\n"
        in made
    )


def test_parts_of_a_digest_are_messages() -> None:
    made = check(multipart(b"\r\nSubject: inner\r\n" + PLAIN + b"\r\n" + TEXT, kind=b"digest"))

    assert b"--b\r\n\r\nSubject: inner\r\n" in made


def test_preamble_and_epilogue_keep_their_form() -> None:
    content = (
        multipart(b"\r\nx").replace(b"\r\n\r\n--b", b"\r\n\r\nnur f\xfcr alte Leser\r\n--b", 1)
        + b"Ende f\xfcr alle\r\n"
    )

    made = to_seven_bit(content)

    assert b"nur f?r alte Leser\r\n" in made
    assert made.endswith(b"Ende f?r alle\r\n")


def test_internationalised_message_in_a_message_is_encoded() -> None:
    made = to_seven_bit(
        multipart(b"Content-Type: message/global\r\n\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nx")
    )

    assert b"Content-Transfer-Encoding: base64" in made


@pytest.mark.parametrize(
    "content",
    [
        b"DKIM-Signature: v=1; a=rsa-sha256\r\n" + PLAIN + b"\r\n" + TEXT,
        b"ARC-Message-Signature: i=1\r\n" + PLAIN + b"\r\n" + TEXT,
        multipart(
            b"\r\n" + TEXT, b"Content-Type: application/pgp-signature\r\n\r\nx", kind=b"signed"
        ),
        multipart(b"\r\n" + TEXT, kind=b"encrypted"),
        multipart(multipart(b"\r\n" + TEXT, kind=b"signed", boundary=b"i")),
        b"Content-Type: application/pkcs7-mime\r\n\r\n\xff",
        PLAIN + b"\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\n\r\n" + TEXT,
    ],
    ids=["dkim", "arc", "signed", "encrypted", "nested", "smime", "inline"],
)
def test_signed_message_is_not_converted(content: bytes) -> None:
    with pytest.raises(CannotConvertError, match="signature would break"):
        to_seven_bit(content)


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nx",
        multipart(b"Content-Description: \xff\r\n\r\nx"),
        PLAIN + b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\xff",
        PLAIN + b"Content-Transfer-Encoding: x-uuencode\r\n\r\n\xff",
        multipart(b"\r\n" + TEXT, header=b"Content-Transfer-Encoding: base64\r\n"),
        b"Content-Type: multipart/mixed\r\n\r\n" + TEXT,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + TEXT,
        b"Content-Type: message/partial\r\n\r\n" + TEXT,
        b"Content-Type: message/delivery-status\r\n\r\n" + TEXT,
    ],
)
def test_what_no_encoding_can_carry_is_told(content: bytes) -> None:
    with pytest.raises(CannotConvertError):
        to_seven_bit(content)


def test_nesting_is_bounded() -> None:
    content = b"\r\n" + TEXT
    for level in range(MAX_DEPTH + 2):
        content = multipart(content, boundary=b"level%d" % level)

    with pytest.raises(CannotConvertError, match="too deeply"):
        to_seven_bit(content)


def test_parts_are_bounded() -> None:
    with pytest.raises(CannotConvertError, match="too many"):
        to_seven_bit(multipart(*[b"\r\n\xff"] * 10_001))


def test_delimiters_without_end_take_no_time() -> None:
    content = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 200_000 + b"\xff"

    with pytest.raises(CannotConvertError):
        to_seven_bit(content)


@given(
    st.lists(st.one_of(st.binary(max_size=90), st.text(max_size=90).map(str.encode)), max_size=8)
)
def test_any_text_reads_the_same_afterwards(lines: list[bytes]) -> None:
    body = b"\r\n".join(re.sub(rb"[\r\n]", b" ", line) for line in lines)
    content = PLAIN + b"\r\n" + body
    if body.startswith(b"-----BEGIN PGP "):
        return

    made = to_seven_bit(content)

    assert made.isascii()
    if not content.isascii():
        assert read(made).get_payload(decode=True) == body
        assert all(len(line) <= 76 for line in made.partition(b"\r\n\r\n")[2].split(b"\r\n"))


@given(st.binary(max_size=400))
def test_any_octets_convert_or_are_refused(body: bytes) -> None:
    for head in (
        b"",
        PLAIN,
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: message/rfc822\r\n",
    ):
        try:
            assert to_seven_bit(head + b"\r\n" + body).isascii()
        except CannotConvertError:
            continue


@pytest.mark.parametrize(
    ("fields", "rest"),
    [
        (b"", b"\tfold of nothing\r\nContent-Type: text/html\r\n\r\n"),
        (PLAIN, b"no field\r\nX: 1\r\n\r\n"),
    ],
)
def test_a_header_ends_where_no_field_is_and_the_rest_is_encoded_as_body(
    fields: bytes, rest: bytes
) -> None:
    made = to_seven_bit(fields + rest + TEXT)

    assert leaves(made) == [rest + TEXT]
    assert read(made).get_all("Content-Type") == ["text/plain; charset=utf-8"]
    assert read(made).get_all("Content-Transfer-Encoding") == ["quoted-printable"]


@pytest.mark.parametrize("before", range(70, 80))
def test_no_soft_line_break_makes_a_boundary(before: int) -> None:
    text = b"\r\n" + b"x" * before + b"--b\r\nX: \xc3\xbc\r\n"

    made = to_seven_bit(multipart(PLAIN + b"\r\n" + text))

    assert leaves(made) == leaves(multipart(PLAIN + b"\r\n" + text))
