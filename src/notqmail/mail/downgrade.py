"""8-bit content made 7-bit, for a next hop without 8BITMIME (RFC 6152 §3, RFC 2045 §6).

Text becomes quoted-printable, or base64 where little of it is US-ASCII; everything else becomes base64. Parts that are US-ASCII already
keep every octet, and so do all fields but Content-Transfer-Encoding. What is signed (DKIM, ARC, S/MIME, PGP) is left
alone, because its signature would break; so is what no encoding can carry, such as a header beyond US-ASCII.
"""

import binascii
import re

from notqmail.mail.entity import Entity, entity, part_spans
from notqmail.mail.errors import NotqmailError

MAX_DEPTH = 20  # levels of multipart and message/rfc822
MAX_PARTS = 10_000  # in one message

_SIGNED_FIELDS = frozenset({"dkim-signature", "arc-message-signature"})
_SIGNED_TYPES = frozenset(
    {
        b"multipart/signed",
        b"multipart/encrypted",
        b"application/pkcs7-mime",
        b"application/x-pkcs7-mime",
        b"application/pkcs7-signature",
        b"application/pgp-encrypted",
        b"application/pgp-signature",
    }
)
_INLINE_PGP = re.compile(rb"(?:\A|\n)-----BEGIN PGP ")
_IDENTITY = frozenset({b"7bit", b"8bit", b"binary"})  # RFC 2045 §6.2
_NESTED = frozenset({b"message/rfc822", b"message/news"})
_ENCODABLE_MESSAGE = b"message/global"  # and its relatives: RFC 6532 §3.7, RFC 6533 §7
_LINE = 76  # RFC 2045 §6.7, §6.8
_NEW_DASHES = (
    b"=\r\n--"  # a soft break has made a line of what may be a boundary of the parts around
)
_BEYOND_ASCII = bytes(range(128, 256))


class CannotConvertError(NotqmailError):
    """The message cannot travel in seven bits; the text says why, for the sender."""


def to_seven_bit(content: bytes) -> bytes:
    """Convert a whole message, CRLF line ends throughout; give it unchanged when it is US-ASCII. Linear in its
    size. Raises CannotConvertError."""
    if content.isascii():
        return content
    top = entity(content)
    names = {name for name, _ in top.fields()}
    if names & _SIGNED_FIELDS:
        raise CannotConvertError("its signature would break (DKIM)")
    return _Converter().convert(top, top_level=True)


class _Converter:
    """One conversion: counts parts, so that nesting and splitting stay bounded."""

    def __init__(self) -> None:
        self._parts = 0

    def convert(self, whole: Entity, depth: int = 0, *, top_level: bool = False) -> bytes:
        """An entity with 8-bit content, as one without."""
        self._parts += 1
        if depth > MAX_DEPTH or self._parts > MAX_PARTS:
            raise CannotConvertError("its parts are too many, or too deeply nested")
        if not whole.header.isascii():
            raise CannotConvertError("its header is not in US-ASCII")
        if whole.type in _SIGNED_TYPES:
            raise CannotConvertError("its signature would break (S/MIME or PGP)")
        if whole.type.startswith(b"multipart/"):
            return _rebuilt(whole, self._multipart(whole, depth), b"7bit", top_level=top_level)
        if whole.type in _NESTED:
            inner = self._inner(whole.body, depth)
            return _rebuilt(whole, inner, b"7bit", top_level=top_level)
        encoding, body = _leaf(whole)
        return _rebuilt(whole, body, encoding, top_level=top_level)

    def _multipart(self, whole: Entity, depth: int) -> bytes:
        if whole.encoding not in _IDENTITY:
            raise CannotConvertError("it is a multipart with a transfer encoding")
        spans = part_spans(whole.body, whole.boundary)
        if spans is None:
            raise CannotConvertError("its parts cannot be told apart")
        default = b"message/rfc822" if whole.type == b"multipart/digest" else b"text/plain"
        pieces, at = [], 0
        for begin, end in spans:
            pieces.append(_blanked(whole.body[at:begin]))
            pieces.append(self._inner(whole.body[begin:end], depth, default))
            at = end
        pieces.append(_blanked(whole.body[at:]))
        return b"".join(pieces)

    def _inner(self, content: bytes, depth: int, default: bytes = b"text/plain") -> bytes:
        if content.isascii():
            return content
        return self.convert(entity(content, default), depth + 1)


def _leaf(whole: Entity) -> tuple[bytes, bytes]:
    """Encode a body that has no parts."""
    kind, body = whole.type, whole.body
    if kind.startswith(b"message/") and not kind.startswith(_ENCODABLE_MESSAGE):
        raise CannotConvertError(f"{kind.decode('ascii')} may not be encoded")
    if whole.encoding not in _IDENTITY:
        raise CannotConvertError("it has 8-bit octets in a part that claims another encoding")
    if _INLINE_PGP.search(body):
        raise CannotConvertError("its signature would break (PGP)")
    ascii_octets = len(body.translate(None, _BEYOND_ASCII))
    # quoted-printable as long as a person can still read it, and it is not much longer
    if (kind.startswith(b"text/") or not kind) and ascii_octets * 4 >= len(body) * 3:
        readable = _quoted_printable(body)
        if _NEW_DASHES not in readable:
            return b"quoted-printable", readable
    return b"base64", _base64(body)


def _quoted_printable(body: bytes) -> bytes:
    encoded = binascii.b2a_qp(body, istext=True)
    # b2a_qp takes the line end of its soft breaks from the first line, if there is one
    return encoded.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _base64(body: bytes) -> bytes:
    step = _LINE // 4 * 3
    lines = [
        binascii.b2a_base64(body[at : at + step], newline=False) for at in range(0, len(body), step)
    ]
    return b"\r\n".join(lines) + b"\r\n"


def _blanked(text: bytes) -> bytes:
    """Preamble and epilogue are to be ignored (RFC 2046 §5.1.1); keep their form."""
    return text if text.isascii() else text.translate(_TO_QUESTION_MARK)


_TO_QUESTION_MARK = bytes(range(128)) + b"?" * 128


def _rebuilt(whole: Entity, body: bytes, encoding: bytes, *, top_level: bool) -> bytes:
    """The entity with a new body, its header saying how that is encoded."""
    field = b"Content-Transfer-Encoding: " + encoding + b"\r\n"
    kept, names, placed = [], set(), False
    for name, raw in whole.fields():
        names.add(name)
        if name != "content-transfer-encoding":
            kept.append(raw)
        elif not placed:
            kept.append(field)
            placed = True
    if top_level:
        kept += _missing(whole, names)
    if not placed and encoding != b"7bit":
        kept.append(field)
    return b"".join([*kept, whole.separator or b"\r\n", body])


def _missing(whole: Entity, names: set[str]) -> list[bytes]:
    """The fields that a message needs for its encoding to be read at all (RFC 2045 §4; RFC 1428 §3)."""
    fields = []
    if "mime-version" not in names:
        fields.append(b"MIME-Version: 1.0\r\n")
    if "content-type" not in names:
        try:
            whole.body.decode("utf-8")
            charset = b"utf-8"
        except UnicodeDecodeError:
            charset = b"unknown-8bit"
        fields.append(b"Content-Type: text/plain; charset=" + charset + b"\r\n")
    return fields
