"""The structure of a message as octets: media type, transfer encoding, parts (RFC 2045, RFC 2046).

Only as much as conversion needs, and nothing is parsed and written again: parts are slices.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from notqmail.mail.header import header_end, split_header

_TYPE = re.compile(rb"([A-Za-z0-9!#$&^_.+-]+)[ \t]*/[ \t]*([A-Za-z0-9!#$&^_.+-]+)")
_BOUNDARY = re.compile(
    rb';[ \t]*boundary[ \t]*=[ \t]*(?:"((?:[^"\\\r\n]|\\[^\r\n])*)"|([^\s";]+))', re.IGNORECASE
)
_PAIR = re.compile(rb"\\(.)")
MAX_BOUNDARY = 70  # octets, RFC 2046 §5.1.1


@dataclass(frozen=True, slots=True)
class Entity:
    """A message or a part: `header` ends with the CRLF of its last field, `body` begins after the empty line, or with
    a line that is no field.
    `type` like b"text/plain" in lower case, b"" without or with a malformed Content-Type; `encoding` in lower case,
    b"7bit" without."""

    header: bytes
    body: bytes
    separator: bytes  # the empty line; b"" where the header runs to the end
    type: bytes
    encoding: bytes
    boundary: bytes = b""

    def fields(self) -> Iterator[tuple[str, bytes]]:
        """The fields: name in lower case, and octets."""
        for field in split_header(self.header):
            yield field.name.lower(), field.raw


def entity(content: bytes, default: bytes = b"text/plain") -> Entity:
    """Take octets apart; `default` is the type where no Content-Type is (RFC 2046 §5.1.5)."""
    end = 0
    kind, encoding, boundary = default, b"7bit", b""
    for field in split_header(content[: header_end(content)]):
        end += len(field.raw)
        name = field.name.lower()
        if name == "content-type":
            kind, boundary = _media_type(field.value)
        elif name == "content-transfer-encoding":
            encoding = field.value.lower()
    header, rest = content[:end], content[end:]
    separator = b"\r\n" if rest.startswith(b"\r\n") else b""
    return Entity(header, rest[len(separator) :], separator, kind, encoding, boundary)


def _media_type(value: bytes) -> tuple[bytes, bytes]:
    match = _TYPE.match(value)
    if match is None:
        return b"", b""
    found = _BOUNDARY.search(value, match.end())
    boundary = b""
    if found is not None:
        boundary = _PAIR.sub(rb"\1", found[1]) if found[1] is not None else found[2]
    return (match[1] + b"/" + match[2]).lower(), boundary.rstrip(b" \t")


def part_spans(body: bytes, boundary: bytes) -> list[tuple[int, int]] | None:
    """Where the parts of a multipart body are; None when it is not closed or has none (RFC 2046 §5.1.1)."""
    if not boundary or len(boundary) > MAX_BOUNDARY:
        return None
    delimiter = re.compile(rb"(?:\A|\r\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r\n|\Z)")
    spans: list[tuple[int, int]] = []
    begin = -1
    for match in delimiter.finditer(body):
        if begin >= 0:
            spans.append((begin, max(match.start(), begin)))
        if match[1]:
            return spans or None
        begin = match.end() + 2
    return None
