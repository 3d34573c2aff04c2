"""Streams of octets that may be cut anywhere: lines, transparency, chunks, replies. Each against a plain reference."""

import re
from collections.abc import Sequence
from ipaddress import ip_address

from notqmail.mail.errors import LocalProtocolError, RemoteProtocolError
from notqmail.mail.reply import Reply
from notqmail.smtp.chunking import ChunkChecker
from notqmail.smtp.dots import DataDecoder, DotEncoder
from notqmail.smtp.faults import Faults
from notqmail.smtp.framing import BadEnding, Line, LineReader, TooLong
from notqmail.smtp.proxy import MAX_V2, Header, Malformed, ProxyReader
from notqmail.smtp.reply import ReplyParser
from tests.fuzz.given import Given
from tests.fuzz.targets.smtp import assert_reply_lines

_LIMIT = 64
_REPLY_LIMIT = 2048


def framing(data: bytes) -> None:
    """Lines are those of the whole stream, cut at LF; what is buffered is bounded."""
    pieces = Given(data).pieces()
    reader, events = LineReader(_LIMIT), []
    for piece in pieces:
        reader.feed(piece)
        while (event := reader.next()) is not None:
            events.append(event)
        assert reader.pending < _LIMIT
    assert events == _lines(b"".join(pieces))


def _lines(stream: bytes) -> Sequence[Line | TooLong | BadEnding]:
    *whole, last = re.split(rb"(?<=\n)", stream)
    events: list[Line | TooLong | BadEnding] = []
    for line in whole:
        if len(line) > _LIMIT:
            events.append(TooLong())
        elif line.endswith(b"\r\n") and b"\r" not in line[:-2]:
            events.append(Line(line[:-2]))
        else:
            events.append(BadEnding())
    return [*events, TooLong()] if len(last) >= _LIMIT else events


def dots(data: bytes) -> None:
    """Any split gives what the whole gives: the content up to the first CRLF.CRLF, without its dots, and its faults."""
    given = Given(data)
    repair = given.flag()
    pieces = given.pieces()
    decoder, content, rest = DataDecoder(_LIMIT, repair), b"", b""
    for piece in pieces:
        if decoder.done:
            rest += piece
        else:
            content += decoder.feed(piece)

    stream = b"\r\n" + b"".join(pieces)
    before, end, after = stream.partition(b"\r\n.\r\n")
    assert decoder.done == bool(end)
    if not end:
        assert len(stream) - len(content) <= len(stream)
        return
    assert decoder.rest + rest == after
    assert (content, decoder.faults) == _decoded(before + b"\r\n", repair=repair)


def _decoded(stuffed: bytes, *, repair: bool) -> tuple[bytes, Faults]:
    """Line by line: `stuffed` begins with the CRLF before the content."""
    if repair:
        lines = re.split(rb"\r?\n", stuffed)
        content = b"\r\n".join(
            line[1:] if line.startswith(b".") and line != b"." else line for line in lines
        )
    else:
        content = re.sub(rb"\r\n\.", b"\r\n", stuffed)
    content = content[2:]
    faults = _faults(content, stuffed)
    if repair:
        faults.bare_lf = False
    return content, faults


def _faults(content: bytes, raw: bytes) -> Faults:
    bare = raw.replace(b"\r\n", b"")
    return Faults(
        bare_lf=b"\n" in bare,
        bare_cr=b"\r" in bare,
        long_line=any(map(_is_long, re.split(rb"(?<=\n)", content))),
        nul=b"\0" in raw,
    )


def _is_long(line: bytes) -> bool:
    """Say whether a line is over the limit, or will be with the end that it does not have yet."""
    return len(line) > _LIMIT or (len(line) == _LIMIT and not line.endswith(b"\n"))


def undot(data: bytes) -> None:
    """What we encode, our decoder reads as it was, and no CRLF.CRLF stands before its end."""
    pieces = Given(data).pieces()
    content = b"".join(pieces)
    bare = content.replace(b"\r\n", b"")
    clean = b"\r" not in bare and b"\n" not in bare
    encoder = DotEncoder()
    try:
        wire = b"".join([*map(encoder.feed, pieces), encoder.finish()])
    except LocalProtocolError:
        assert not clean
        return
    assert clean
    assert len(wire) <= 2 * len(content) + 5
    assert (b"\r\n" + wire).index(b"\r\n.\r\n") == len(wire) - 3
    decoder = DataDecoder(1 << 20)
    ended = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
    assert decoder.feed(wire) == ended
    assert decoder.done
    assert not decoder.rest


def chunks(data: bytes) -> None:
    """The faults of chunks are those of the whole."""
    pieces = Given(data).pieces()
    checker = ChunkChecker(_LIMIT)
    for piece in pieces:
        checker.feed(piece)
    content = b"".join(pieces)
    assert checker.line_ended == (b"\r\n" + content).endswith(b"\r\n")
    assert checker.finish() == checker.finish() == _faults(content, content)


def proxy(data: bytes) -> None:
    """A header does not depend on the split, is bounded, and names addresses and ports or nobody."""
    pieces = Given(data).pieces()
    stream = b"".join(pieces)
    whole = ProxyReader().feed(stream)
    reader, found, taken = ProxyReader(), None, 0
    for piece in pieces:
        if found is None:
            found = reader.feed(piece)
            taken += len(piece)
    match whole:
        case None:
            assert found is None
            assert len(stream) < MAX_V2
        case Malformed():
            assert isinstance(found, Malformed)
        case Header(ends, rest):
            assert isinstance(found, Header)
            assert (found.ends, found.rest + stream[taken:]) == (ends, rest)
            assert stream.endswith(rest)
            assert len(stream) - len(rest) <= MAX_V2
            if ends is not None:
                assert {str(ip_address(each)) for each in (ends.source, ends.destination)} == {
                    ends.source,
                    ends.destination,
                }
                assert max(ends.source_port, ends.destination_port) < 65536


def reply(data: bytes) -> None:
    """Replies do not depend on the split, are clean, bounded, and mean the same when we pass them on."""
    pieces = Given(data).pieces()
    split, why = _replies(pieces)
    assert (split, why) == _replies([b"".join(pieces)])
    for each in split:
        assert 200 <= each.code < 600
        assert len(each.text.encode()) <= 3 * _REPLY_LIMIT
        assert all(line.isprintable() or not line.isascii() for line in each.text.split("\n"))
        assert not re.search(r"[\0-\t\v-\x1f\x7f-\x9f]", each.text)
        assert_reply_lines(each.wire)


def _replies(pieces: Sequence[bytes]) -> tuple[Sequence[Reply], str]:
    parser, found = ReplyParser(_REPLY_LIMIT), []
    for piece in pieces:
        parser.feed(piece)
        try:
            while (each := parser.next()) is not None:
                found.append(each)
        except RemoteProtocolError as error:
            return found, str(error)
    return found, ""
