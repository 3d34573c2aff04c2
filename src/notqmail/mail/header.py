"""The header as octets: found, read and edited without ever being parsed and written again.

A message is header fields, an empty line, a body (RFC 5322 §2.1). Lines end in CRLF: the receiver sees to it.
Fields keep their octets; `split_header` only says where each begins and ends.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

END = b"\r\n\r\n"
MAX_HEADER = 262_144  # octets looked at for the end of the header before the rest counts as body
# A fold at the very start has no field to belong to: such a message has no header, and what we put on top of it must
# not go on in words of its author
_FOLDS = (b" ", b"\t")
_FTEXT = bytes(range(33, 127)).replace(b":", b"")  # RFC 5322 §3.6.8


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `name` as written, `raw` all its octets with the folds and the last CRLF."""

    name: str
    raw: bytes

    @property
    def value(self) -> bytes:
        """The unfolded value without surrounding white space (RFC 5322 §2.2.3)."""
        return self.raw.partition(b":")[2].replace(b"\r\n", b"").strip(b" \t")


@dataclass(frozen=True, slots=True)
class HeaderEdit:
    """One edit. `prepend`/`append`: `field` is complete fields with CRLF, put before the first field or after
    the last. `remove`: `field` is a name in lower case, `index` which occurrence from the top (0 = first),
    None for all."""

    kind: Literal["prepend", "append", "remove"]
    field: bytes
    index: int | None = None


def header_end(data: bytes) -> int:
    """Give the offset just after the header's last field (its CRLF included); len(data) when no end is seen."""
    if data.startswith(b"\r\n"):
        return 0
    at = data.find(END)
    return len(data) if at < 0 else at + 2


def split_header(header: bytes) -> Iterator[Field]:
    """Yield the fields of a header (up to and without the empty line). A line that is no field and no fold
    ends the header, as everywhere else in mail."""
    start = 0
    size = len(header)
    while start < size:
        end = _field_end(header, start)
        raw = header[start:end]
        name, colon, _ = raw.partition(b":")
        name = name.rstrip(b" \t")
        if not colon or not name or name.translate(None, _FTEXT):
            return
        yield Field(name.decode("ascii"), raw)
        start = end


def _field_end(header: bytes, start: int) -> int:
    at = header.find(b"\r\n", start)
    while at >= 0:
        after = at + 2
        if header[after : after + 1] not in (b" ", b"\t"):
            return after
        at = header.find(b"\r\n", after)
    return len(header)


def _last_field(header: bytes) -> int:
    at = len(header)
    while (at := header.rfind(b"\r\n", 0, at)) >= 0:
        if header[at + 2 : at + 3] not in (b"", b" ", b"\t"):
            return at + 2
    return 0


class HeaderEditor:
    """Applies edits to a stream: feed chunks, take pieces; holds at most the header (MAX_HEADER octets)."""

    def __init__(self, edits: Iterable[HeaderEdit]) -> None:
        edits = tuple(edits)
        # each prepend goes on top of what was there before it, so the newest is first
        self._before = b"".join(e.field for e in reversed(edits) if e.kind == "prepend")
        self._after = b"".join(e.field for e in edits if e.kind == "append")
        self._removals = tuple(e for e in edits if e.kind == "remove")
        self._held: bytes | None = b"" if self._after or self._removals else None

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next octets; give what is ready."""
        if self._held is None:
            if self._before and chunk:
                before, self._before = self._before, b""
                return [before, b"\r\n", chunk] if chunk.startswith(_FOLDS) else [before, chunk]
            return [chunk]
        self._held += chunk
        if self._held.startswith(_FOLDS):
            return self._edit(0, b"\r\n")
        if self._held.startswith(b"\r\n") or END in self._held:
            return self._edit(header_end(self._held))
        # a header too large: its end is taken to be before the last field that has begun
        return self._edit(_last_field(self._held)) if len(self._held) > MAX_HEADER else []

    def finish(self) -> list[bytes]:
        """The content has ended: give what is left."""
        if self._held is not None:
            if self._after and self._held and not self._held.endswith(b"\r\n"):
                self._held += b"\r\n"  # the last field was cut short; the next must not run into it
            return self._edit(len(self._held))
        ready, self._before = ([self._before] if self._before else []), b""
        return ready

    def _edit(self, end: int, separator: bytes = b"") -> list[bytes]:
        held, self._held = self._held or b"", None
        header, rest = held[:end], held[end:]
        if self._removals:
            header = self._remove(header)
        added = self._before or self._after
        pieces = [self._before, header, self._after, separator if added else b"", rest]
        self._before = b""
        return [piece for piece in pieces if piece]

    def _remove(self, header: bytes) -> bytes:
        kept, seen, used = [], dict.fromkeys((e.field for e in self._removals), 0), 0
        for item in split_header(header):
            used += len(item.raw)
            name = item.name.lower().encode()
            nth = seen.get(name)
            if nth is not None:
                seen[name] = nth + 1
                if any(e.field == name and e.index in (None, nth) for e in self._removals):
                    continue
            kept.append(item.raw)
        return b"".join(kept) + header[used:]


def edited(edits: Iterable[HeaderEdit], content: bytes) -> bytes:
    """Apply edits to content held whole."""
    editor = HeaderEditor(edits)
    return b"".join([*editor.feed(content), *editor.finish()])


def edited_size(edits: Iterable[HeaderEdit]) -> int:
    """Octets that the edits add, at most: an append may have to end the last line, any of them its own header."""
    return sum(len(e.field) + 2 for e in edits if e.kind != "remove")
