"""A message as a program on this machine hands it in, made fit to travel (RFC 6409 §8).

Its lines may end in LF. Its header may lack Date, Message-ID and From, and may name the recipients; Bcc must not
leave. Octets go through otherwise untouched: nothing is decoded, folded or written anew.
"""

import base64
import re
from collections.abc import Container, Iterable, Sequence

from notqmail.mail.address import Address
from notqmail.mail.address_list import AddressList, read_addresses
from notqmail.mail.date import date_time
from notqmail.mail.errors import NotqmailError
from notqmail.mail.header import Field, split_header

_LINE_END = re.compile(rb"\r*\n|\r+(?!\n)")
_LF = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r(?!\n)")
_MBOX = (b"From ", b">From ")
DROPPED = frozenset({"bcc", "resent-bcc", "return-path", "content-length"})
"""What does not leave here, in lower case."""
_TO = frozenset({"to", "cc", "bcc"})
_RESENT_TO = frozenset({"resent-to", "resent-cc", "resent-bcc"})
_WORD_OCTETS = 39  # of UTF-8 in an encoded word: it has at most 75 characters (RFC 2047 §2)
_PHRASE_PAIR = re.compile(r'(["\\])')
_ESCAPED = r"\\\1"
_MAX_NAME = 200  # characters of a display name


class MessageError(NotqmailError):
    """The message cannot be sent as it is; the text is one sentence."""


class LineEnds:
    """Makes every line of a body end in CRLF: LF alone, CR alone (progress bars), and CR CR LF count as one end.

    Feed any pieces; `finish` ends the last line.
    """

    def __init__(self) -> None:
        self._held = b""  # a CR whose LF may come
        self._ended = True

    def feed(self, piece: bytes) -> bytes:
        """Take the next octets, give what is ready."""
        piece = self._held + piece
        kept = piece.rstrip(b"\r")
        piece, self._held = kept, piece[len(kept) : len(kept) + 1]
        if piece:
            piece = _LINE_END.sub(b"\r\n", piece)
            self._ended = piece.endswith(b"\n")
        return piece

    def finish(self) -> bytes:
        """The body has ended: give what is left."""
        held, self._held = self._held, b""
        return b"" if self._ended and not held else b"\r\n"


class HeaderReader:
    """Finds the header at the start of a message, in pieces. `rest` is what came after it, as it came.

    The header ends at an empty line, or before the first line that is no field: then that line begins the body.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._raw = b""
        self.fields: tuple[Field, ...] = ()
        self.rest = b""

    def feed(self, piece: bytes) -> bool:
        """Take the next octets, say whether the header has ended; raises MessageError."""
        self._raw += piece
        end = self._raw.rfind(b"\n") + 1
        if end and self._split(self._raw[:end], self._raw[end:]):
            self._check()
            return True
        if len(self._raw) > self._limit:
            raise MessageError(f"the header is larger than {self._limit} octets")
        return False

    def finish(self) -> None:
        """The message has ended: what came is all there is; raises MessageError."""
        end = b"" if self._raw.endswith(b"\n") or not self._raw else b"\n"
        self._split(self._raw + end, b"")
        self._check()

    def _split(self, whole_lines: bytes, tail: bytes) -> bool:
        if whole_lines.startswith(_MBOX):  # of a mailbox file, as some programs hand it on
            whole_lines = b"MBOX-Line: " + whole_lines
        lines = _LF.sub(b"\r\n", whole_lines)
        self.fields = tuple(split_header(lines))
        used = sum(len(field.raw) for field in self.fields)
        self.rest = lines[used:].removeprefix(b"\r\n") + tail
        return used < len(lines)

    def _check(self) -> None:
        """A CR that ends no line could hide a field from us and show it to others."""
        for field in self.fields:
            if _BARE_CR.search(field.raw):
                raise MessageError(f"the header field {field.name} has a bare CR; remove it")


def complete(fields: Sequence[Field], author: bytes, now: float, message_id: str) -> bytes:
    """Give the header with the empty line after it. `author` is a value for From, `now` wall-clock seconds,
    `message_id` without its angle brackets; each is used only where the field is missing."""
    new = missing_fields({field.name.lower() for field in fields}, author, now, message_id)
    kept = [field.raw for field in fields if field.name.lower() not in DROPPED]
    return b"".join([new, *kept, b"\r\n"])


def missing_fields(have: Container[str], author: bytes, now: float, message_id: str) -> bytes:
    """Give the fields of `complete` that are not among `have`, names in lower case, as lines."""
    made = {
        "Date": date_time(now).encode(),
        "Message-ID": f"<{message_id}>".encode(),
        "From": author,
    }
    new = [b"%b: %b\r\n" % (k.encode(), v) for k, v in made.items() if k.lower() not in have]
    return b"".join(new)


def named_recipients(fields: Iterable[Field], domain: str) -> AddressList:
    """Give whom the header names: Resent-To, -Cc and -Bcc where one is there (RFC 5322 §3.6.6), else To, Cc, Bcc.
    A local part alone gets `domain`."""
    named = [(field.name.lower(), field.value) for field in fields]
    wanted = _RESENT_TO if any(name in _RESENT_TO for name, _ in named) else _TO
    lists = [read_addresses(value, domain) for name, value in named if name in wanted]
    return AddressList(
        tuple(dict.fromkeys(address for each in lists for address in each.addresses)),
        tuple(text for each in lists for text in each.unreadable),
    )


def author(name: str, address: Address) -> bytes:
    """Write a From value; a name outside ASCII becomes encoded words (RFC 2047)."""
    name = "".join(c for c in name if c.isprintable())[:_MAX_NAME]
    if not name:
        return str(address).encode()
    if name.isascii():
        phrase = f'"{_PHRASE_PAIR.sub(_ESCAPED, name)}"'
    else:
        phrase = "\r\n ".join(_encoded_words(name))
    return f"{phrase} <{address}>".encode()


def _encoded_words(text: str) -> Iterable[str]:
    piece = b""
    for character in text:
        octets = character.encode()
        if len(piece) + len(octets) > _WORD_OCTETS:
            yield f"=?UTF-8?B?{base64.b64encode(piece).decode()}?="
            piece = b""
        piece += octets
    yield f"=?UTF-8?B?{base64.b64encode(piece).decode()}?="
