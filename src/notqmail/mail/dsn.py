"""Delivery reports: from outcomes to octets, as a pure mapping (RFC 3464, RFC 6522; RFC 6533 where UTF-8 is needed).

A report has three parts: plain words for a person, the same as fields for programs, and the message it is about, or
its header. It is 7-bit clean, so that it arrives everywhere: what is not ASCII is encoded. Only a report to a
non-ASCII address goes out as UTF-8 (its envelope needs SMTPUTF8 in any case).

What a remote server said is quoted in both of the first two parts. It is hostile until cleaned: no line end, no
control character and no endless text gets from a reply into a header.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from notqmail.mail.address import Address
from notqmail.mail.date import date_time
from notqmail.mail.dsn_words import (
    MAX_NAME,
    SUBJECT,
    WIDTH,
    Kind,
    clean,
    expired,
    opening,
    status,
    story,
    wrap,
)
from notqmail.mail.header import header_end, split_header
from notqmail.mail.mime import part, seven_bit
from notqmail.mail.outcome import Action, Outcome

__all__ = [
    "MAX_RETURN",
    "Kind",
    "Original",
    "Report",
    "clean",
    "expired",
    "render",
    "status",
    "typed_address",
]

MAX_RETURN = 65536  # octets of the message that a report returns; of a larger one the header alone

_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")  # RFC 6533 §3
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]{1,40}")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>")


@dataclass(frozen=True, slots=True)
class Original:
    """The message a report is about: its first octets, header first. `complete` when that is all of it and the
    sender may have it back whole (RET, RFC 3461 §4.3)."""

    head: bytes
    complete: bool = False

    @property
    def header(self) -> bytes:
        """Its header, without a line that the bound cut through."""
        end = header_end(self.head)
        return self.head[: self.head.rfind(b"\r\n", 0, end) + 2] if end else b""


@dataclass(frozen=True, slots=True)
class Report:
    """All that a report says. Times are wall-clock seconds; `until` is when a delayed message is given up.

    `id` names the report itself, `original_id` the message it is about; `utf8` when that one's envelope had
    SMTPUTF8.
    """

    kind: Kind
    id: str
    hostname: str
    to: Address
    outcomes: Sequence[Outcome]
    original: Original
    original_id: str
    born: float
    at: float
    envid: str | None = None
    until: float | None = None
    utf8: bool = False

    @property
    def global_form(self) -> bool:
        """True when the report takes the form of RFC 6533."""
        return self.utf8 or not self.to.ascii

    @property
    def smtputf8(self) -> bool:
        """True when the report itself can only travel with SMTPUTF8."""
        return not self.to.ascii


def render(report: Report) -> bytes:
    """Give the report as a complete message, with CRLF line ends, without trace fields."""
    parts = (_human_part(report), _status_part(report), _original_part(report))
    boundary = _boundary(report.id, parts)
    mark = f"--{boundary}".encode()
    body = b"".join(mark + b"\r\n" + each + b"\r\n" for each in parts)
    return _header(report, boundary) + b"\r\n" + body + mark + b"--\r\n"


def typed_address(address: Address, *, utf8: bool = False) -> str:
    """Give `type;address` as ORCPT and the recipient fields have it (RFC 3461 §4.2, RFC 6533 §3).

    A non-ASCII address is of type utf-8, in its 7-bit form unless `utf8`.
    """
    if address.ascii:
        return f"rfc822;{address}"
    return f"utf-8;{address.display() if utf8 else _addr_xtext(str(address))}"


def _addr_xtext(text: str) -> str:
    """utf-8-addr-xtext of RFC 6533 §3."""
    return _NOT_QCHAR.sub(lambda match: f"\\x{{{ord(match[0]):02X}}}", text)


def _header(report: Report, boundary: str) -> bytes:
    to = report.to.display() if report.smtputf8 else str(report.to)
    kind = "global-delivery-status" if report.global_form else "delivery-status"
    reference = _message_id(report.original.header)
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{report.hostname}>",
        f"To: <{to}>",
        f"Subject: {SUBJECT[report.kind]}",
        f"Date: {date_time(report.at)}",
        f"Message-ID: <{report.id}@{report.hostname}>",
        *([f"References: {reference}"] if reference else ()),
        "Auto-Submitted: auto-replied",  # RFC 3834 §5
        "MIME-Version: 1.0",
        f"Content-Type: multipart/report; report-type={kind};",
        f'\tboundary="{boundary}"',
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _message_id(header: bytes) -> str:
    for field in split_header(header):
        if field.name.lower() == "message-id":
            value = field.value.decode("ascii", "replace")
            return value if _MESSAGE_ID.fullmatch(value) else ""
    return ""


def _human_part(report: Report) -> bytes:
    until = "" if report.until is None else date_time(report.until)
    returned = "message" if _whole(report) else "header of the message"
    paragraphs = [
        f"This is the mail server {report.hostname}.",
        opening(report.kind, until),
        *(story(outcome, report.at - report.born) for outcome in report.outcomes),
        f"The postmaster finds more with `notqmail why {report.original_id}`. Below stands the same for programs, "
        f"then the {returned}.",
    ]
    text = "\r\n\r\n".join(map(wrap, paragraphs)) + "\r\n"
    return part("text/plain; charset=utf-8", text.encode(), eight_bit=report.smtputf8)


def _status_part(report: Report) -> bytes:
    form = "message/global-delivery-status" if report.global_form else "message/delivery-status"
    groups = [_message_fields(report), *(_recipient_fields(o, report) for o in report.outcomes)]
    text = "\r\n".join("".join(map(_folded, group)) for group in groups)
    return part(form, text.encode(), eight_bit=report.smtputf8)


def _message_fields(report: Report) -> Iterable[tuple[str, str]]:
    """RFC 3464 §2.2."""
    if envid := clean(report.envid or "", MAX_NAME, utf8=report.global_form):
        yield "Original-Envelope-Id", envid
    yield "Reporting-MTA", f"dns; {report.hostname}"
    yield "Arrival-Date", date_time(report.born)


def _recipient_fields(outcome: Outcome, report: Report) -> Iterable[tuple[str, str]]:
    """RFC 3464 §2.3."""
    utf8 = report.global_form
    recipient = outcome.recipient
    if original := _original_recipient(recipient.orcpt, utf8=utf8):
        yield "Original-Recipient", original
    yield "Final-Recipient", typed_address(recipient.address, utf8=utf8).replace(";", "; ", 1)
    yield "Action", outcome.action.value
    yield "Status", status(outcome)
    mta = clean(outcome.remote_mta, MAX_NAME)
    if mta:
        yield "Remote-MTA", f"dns; {mta}"
    # a type that is not registered begins with X- (RFC 3464 §2.1.2)
    spoken_by = "smtp" if mta else "X-notqmail"
    yield "Diagnostic-Code", f"{spoken_by}; {clean(str(outcome.reply), utf8=utf8)}"
    if outcome.at:
        yield "Last-Attempt-Date", date_time(outcome.at)
    yield "Final-Log-ID", report.original_id
    if outcome.action is Action.DELAYED and report.until is not None:
        yield "Will-Retry-Until", date_time(report.until)


def _original_recipient(orcpt: str | None, *, utf8: bool) -> str:
    kind, _, address = (orcpt or "").partition(";")
    text = clean(address, MAX_NAME, utf8=True)
    if not text or _ADDRESS_TYPE.fullmatch(kind) is None:
        return ""
    return f"{kind}; {text if utf8 or text.isascii() else _addr_xtext(text)}"


def _folded(field: tuple[str, str]) -> str:
    """Fold a field at white space; `clean` has bounded its tokens far below 998 octets."""
    name, value = field
    lines = textwrap.wrap(
        f"{name}: {value}",
        WIDTH,
        subsequent_indent=" ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\r\n".join(lines) + "\r\n"


def _whole(report: Report) -> bool:
    """Say whether the whole message is returned: allowed, and fit to travel. Nobody may encode a message/rfc822
    (RFC 2046 §5.2.1), but a message/global (RFC 6532 §3.7)."""
    original = report.original
    return original.complete and (report.global_form or seven_bit(original.head))


def _original_part(report: Report) -> bytes:
    forms = (
        ("message/global", "message/global-headers")
        if report.global_form
        else ("message/rfc822", "text/rfc822-headers")
    )
    if _whole(report):
        return part(forms[0], report.original.head, eight_bit=report.smtputf8)
    return part(forms[1], report.original.header, eight_bit=report.smtputf8)


def _boundary(id: str, parts: Sequence[bytes]) -> str:
    """A boundary that no part contains: a stranger wrote the last one."""
    boundary = f"=_{id}"
    while any(boundary.encode() in each for each in parts):
        boundary += "_"
    return boundary
