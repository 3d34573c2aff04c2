"""What a line of SMTP says: commands with their paths and parameters, xtext, the offers of EHLO."""

import re
from contextlib import suppress
from ipaddress import ip_address

from notqmail.delivery.features import Features, mail_command, rcpt_command
from notqmail.mail.envelope import Body, Envelope, Recipient
from notqmail.mail.reply import Reply
from notqmail.mail.traits import Traits
from notqmail.smtp.command import Bdat, Hello, Mail, Other, Rcpt, parse_command
from notqmail.smtp.extension import ehlo_reply, parse_ehlo, session_limits, size_limit
from notqmail.smtp.parameters import MAX_DIGITS, MAX_ORCPT
from notqmail.smtp.refused import RefusedError
from notqmail.smtp.xclient import Xclient, parse_xclient
from notqmail.smtp.xtext import decode_orcpt, decode_xtext, encode_orcpt, encode_xtext
from tests.fuzz.given import Given

_EVERYTHING = frozenset(
    {"8BITMIME", "SIZE", "DSN", "SMTPUTF8", "CHUNKING", "BINARYMIME", "REQUIRETLS", "AUTH"}
)
_OFFERS = Features(
    pipelining=True, eightbit=True, smtputf8=True, dsn=True, takes_size=True, size=1 << 40
)
_NO_VALUE = re.compile(r"[\x00-\x20=\x7f-\x9f\ud800-\udfff]")  # what esmtp-value may not hold
_REPLY_LINE = re.compile(rb"[2-5][0-9]{2}[ -][^\r\n]{0,506}")


def assert_reply_lines(wire: bytes) -> None:
    """RFC 5321 §4.2: lines of three digits, at most 512 octets with CRLF (§4.5.3.1.5)."""
    *lines, rest = wire.split(b"\r\n")
    assert rest == b""
    assert lines
    for line in lines:
        assert _REPLY_LINE.fullmatch(line), line


def command(data: bytes) -> None:
    """A command is a value or a refusal; what we take in, we can say to the next server, which understands the same."""
    given = Given(data)
    offered = _EVERYTHING if given.flag() else frozenset[str]()
    line = given.rest().replace(b"\n", b" ").replace(b"\r", b" ")  # the reader has cut lines

    parsed = parse_command(line, offered)

    match parsed:
        case Reply():
            assert parsed.permanent
            assert parsed.text.isascii()
            assert_reply_lines(parsed.wire)
        case Hello():
            assert len(parsed.name) <= 255
            assert parsed.name.isprintable()
        case Bdat():
            assert 0 <= parsed.size < 10**MAX_DIGITS
        case Mail():
            _said_again(parsed)
        case Rcpt():
            _named_again(parsed)
        case Other():
            assert parsed.verb.isalpha()
            assert parsed.verb == parsed.verb.upper()
        case _:
            pass


def _said_again(mail: Mail) -> None:
    envelope = Envelope(
        mail.sender, (), mail.envid, mail.ret, mail.smtputf8, mail.requiretls, mail.body
    )
    needs = mail.smtputf8 or not (mail.sender is None or mail.sender.ascii)
    line = mail_command(envelope, Traits(), mail.size or 0, _OFFERS, smtputf8=needs)
    again = parse_command(_one_line(line), _EVERYTHING)
    assert isinstance(again, Mail), (line, again)
    assert (again.sender, again.ret, again.envid) == (mail.sender, mail.ret, mail.envid)
    assert (again.body is Body.EIGHTBIT) == (mail.body is Body.EIGHTBIT)


def _named_again(rcpt: Rcpt) -> None:
    recipient = Recipient(rcpt.address, rcpt.notify, rcpt.orcpt)
    line = rcpt_command(recipient, _OFFERS, smtputf8=True)
    again = parse_command(_one_line(line), _EVERYTHING)
    if isinstance(again, Reply):  # decoded and written anew, an ORCPT can be over its limit
        assert len(rcpt.orcpt or "") > MAX_ORCPT // 8, (line, again)
        return
    assert isinstance(again, Rcpt)
    assert (again.address, again.notify) == (rcpt.address, rcpt.notify)
    assert again.orcpt == rcpt.orcpt, (again.orcpt, rcpt.orcpt)


def _one_line(line: bytes) -> bytes:
    assert line.index(b"\r\n") == len(line) - 2, line
    assert line.count(b"\r") == line.count(b"\n") == 1
    return line[:-2]


def xclient(data: bytes) -> None:
    """What a proxy says of its client is bounded, printable, and an address is one; else it is refused."""
    text, said = Given(data).text(), None
    with suppress(RefusedError):
        said = parse_xclient(text)
    if said is None:
        return
    assert said != Xclient()
    for word in (said.name, said.helo, said.login, said.proto):
        assert word is None or (len(word) <= 255 and word.isprintable())
    for address in (said.address, said.local_address):
        assert not address or str(ip_address(address)) == address
    for port in (said.port, said.local_port):
        assert port is None or 0 <= port < 65536


def xtext(data: bytes) -> None:
    """Decoding and encoding undo each other, and neither grows without bound."""
    text = Given(data).text()
    with suppress(ValueError):
        meaning = decode_xtext(text)
        assert len(meaning) <= len(text)
        assert decode_xtext(encode_xtext(meaning)) == meaning
    with suppress(ValueError):
        written = encode_xtext(text)
        assert len(written) <= 3 * len(text)
        assert decode_xtext(written) == text
    with suppress(ValueError):
        orcpt = decode_orcpt(text)
        assert len(orcpt) <= len(text) + len("utf-8")
        for smtputf8 in (False, True):
            written = encode_orcpt(orcpt, smtputf8=smtputf8)
            assert smtputf8 or written.isascii()
            assert _NO_VALUE.search(written.partition(";")[2]) is None
            assert decode_orcpt(written) == orcpt, (written, orcpt)


def features(data: bytes) -> None:
    """Whatever a server says to EHLO, what we make of it is bounded, and written again it says the same."""
    text = Given(data).text()
    extensions = parse_ehlo(Reply.received(250, text))
    limits = session_limits(extensions)
    for limit in (limits.mailmax, limits.rcptmax, limits.rcptdomainmax):
        assert limit is None or 0 < limit < 10**6
    size = size_limit(extensions)
    assert size is None or 0 < size < 10**20
    found = Features.of(extensions)
    assert min(found.size, found.recipients, found.domains, found.messages) > 0
    assert parse_ehlo(ehlo_reply("mx.example.org", extensions)) == extensions
