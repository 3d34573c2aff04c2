"""MIME parts of messages we write ourselves: content as it is where it may be, else encoded (RFC 2045 §6)."""

import binascii
from base64 import encodebytes

MAX_LINE = 998  # octets of a line without CRLF (RFC 5322 §2.1.1)


def part(form: str, data: bytes, *, eight_bit: bool = False) -> bytes:
    """Give a part of media type `form`: its header, an empty line, the data, which is lines ending in CRLF.

    It is 7-bit clean unless `eight_bit` allows UTF-8 to stand as it is.
    """
    encoding, data = _encoded(data, eight_bit=eight_bit)
    head = f"Content-Type: {form}\r\n"
    if encoding:
        head += f"Content-Transfer-Encoding: {encoding}\r\n"
    return head.encode() + b"\r\n" + data


def seven_bit(data: bytes) -> bool:
    """Say whether data needs no encoding (RFC 2045 §2.7)."""
    return data.isascii() and _sound(data)


def _encoded(data: bytes, *, eight_bit: bool) -> tuple[str, bytes]:
    if seven_bit(data):
        return "", data
    if not _sound(data) or not _is_utf8(data):
        return "base64", encodebytes(data).replace(b"\n", b"\r\n")
    if eight_bit:
        return "8bit", data
    # a soft line break ends as the first line of the data does, and in LF when it has one line
    quoted = binascii.b2a_qp(data, istext=True).replace(b"\r\n", b"\n")
    return "quoted-printable", quoted.replace(b"\n", b"\r\n")


def _sound(data: bytes) -> bool:
    """True when every line ends in CRLF and is short enough, and there is no NUL."""
    lines = data.split(b"\r\n")
    bare = data.count(b"\r") + data.count(b"\n") != 2 * (len(lines) - 1)
    return not bare and b"\0" not in data and max(map(len, lines)) <= MAX_LINE


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
