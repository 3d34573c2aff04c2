"""Reports as messages."""

from collections.abc import AsyncIterator
from dataclasses import replace
from email import message_from_bytes

import pytest

from notqmail.mail.address import Address
from notqmail.mail.dsn import MAX_RETURN, Kind
from notqmail.mail.entry import Entry, Routed
from notqmail.mail.envelope import Body, Envelope, Notify, Recipient, Ret
from notqmail.mail.errors import SpoolError
from notqmail.mail.hop import Hop
from notqmail.mail.message import Content, HeaderEdit, Message, Octets
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply
from notqmail.queue.bounce import Reporter, report_message
from notqmail.queue.conclude import Conclusion, Notice
from tests.support.clock import EPOCH, FakeClock
from tests.support.queue_world import MemoryJournal

SENDER = Recipient(Address("alice", "example.org"))
BOB = Recipient(Address("bob", "example.net"))
CONTENT = b"Subject: hi\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n"
GONE = Outcome(BOB, Action.FAILED, Reply(550, "5.1.1", "gone"), "mx.example.net", EPOCH)


def entry(
    content: bytes | Content = CONTENT, ret: Ret | None = None, *, smtputf8: bool = False
) -> Entry:
    envelope = Envelope(SENDER.address, (BOB,), "ENV", ret, smtputf8)
    octets = Octets(content) if isinstance(content, bytes) else content
    return Entry("M1", Message(envelope, octets), Hop("smtp", "example.net"), EPOCH - 60, 1)


def conclusion(*notices: Notice) -> Conclusion:
    return Conclusion((GONE,), None, notices, False, (), EPOCH + 1000)


def notice(kind: Kind = Kind.FAILURE, to: Recipient = SENDER) -> Notice:
    outcome = GONE if kind is not Kind.DELAY else replace(GONE, action=Action.DELAYED)
    return Notice(kind, to, (outcome,))


async def made(of: Entry, what: Notice) -> Message:
    return await report_message(
        what, of, conclusion(what), id="R1", hostname="mx.example.org", now=EPOCH
    )


async def returned(of: Entry, kind: Kind = Kind.FAILURE) -> tuple[str, str]:
    """The media type and the text of the third part."""
    report = message_from_bytes((await made(of, notice(kind))).whole or b"")
    part = report.get_payload()[2]  # type: ignore[index]
    inner = part.get_payload(0) if part.is_multipart() else part
    return part.get_content_type(), inner.as_string()


async def test_report_has_the_null_sender_and_goes_to_whom_the_notice_names() -> None:
    message = await made(entry(), notice())

    assert message.envelope == Envelope(None, (SENDER,))


async def test_double_bounce_asks_for_no_report_of_its_own() -> None:
    postmaster = Recipient(Address("postmaster", "example.org"), Notify.NEVER)

    message = await made(entry(), notice(Kind.DOUBLE, postmaster))

    assert message.envelope.recipients == (postmaster,)


async def test_report_to_a_non_ascii_address_needs_smtputf8() -> None:
    message = await made(entry(), notice(to=Recipient(Address("älice", "example.org"))))

    assert message.envelope.smtputf8
    assert message.envelope.body is Body.EIGHTBIT


async def test_report_tells_when_a_delayed_message_is_given_up() -> None:
    message = await made(entry(), notice(Kind.DELAY))

    assert b"Will-Retry-Until: Fri, 15 Jan 2027 08:16:40 +0000\r\n" in (message.whole or b"")


async def test_short_message_is_returned_whole_with_our_edits() -> None:
    of = entry()
    edited = replace(of.message, edits=(HeaderEdit("prepend", b"Received: here\r\n"),))

    kind, text = await returned(replace(of, message=edited))

    assert kind == "message/rfc822"
    assert text.startswith("Received: here\nSubject: hi")
    assert "hello" in text


@pytest.mark.parametrize("kind", [Kind.DELAY, Kind.SUCCESS])
async def test_only_failures_return_the_whole_message(kind: Kind) -> None:
    returned_kind, text = await returned(entry(ret=Ret.FULL), kind)

    assert returned_kind == "text/rfc822-headers"
    assert "Subject: hi" in text
    assert "hello" not in text


async def test_ret_hdrs_returns_the_header_alone() -> None:
    assert (await returned(entry(ret=Ret.HDRS)))[0] == "text/rfc822-headers"


async def test_large_message_returns_the_header_alone_even_with_ret_full() -> None:
    of = entry(CONTENT + b"x" * 70 + b"\r\n" * MAX_RETURN, Ret.FULL)

    assert (await returned(of))[0] == "text/rfc822-headers"


class Broken:
    """Content whose disk fails after the first chunk."""

    whole = None
    size = 1000

    async def chunks(self) -> AsyncIterator[bytes]:
        yield CONTENT
        raise SpoolError("bad sector")


async def test_message_that_cannot_be_read_is_reported_without_what_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kind, text = await returned(entry(Broken()))

    assert kind == "text/rfc822-headers"
    assert "Subject: hi" in text
    assert "bad sector" in caplog.text


class Door:
    """An intake that routes everything to one place; `broken` fails to prepare."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken

    def new_id(self) -> str:
        return "R1"

    async def prepare(self, message: Message, txn: None, id: str = "") -> Routed:
        if self.broken:
            raise SpoolError("stage failed")
        return self.route(replace(message, edits=(HeaderEdit("prepend", b"X: 1\r\n"),)), id)

    def route(self, message: Message, id: str) -> Routed:
        return Routed(id, message, (Hop("local", "alice@example.org"),), EPOCH)


def reporter(door: Door, journal: MemoryJournal) -> Reporter:
    return Reporter(door, FakeClock(), journal, "mx.example.org")


async def test_each_notice_becomes_a_routed_message_of_which_the_journal_knows_the_parent() -> None:
    journal = MemoryJournal()
    what = conclusion(notice(), notice(Kind.DELAY))

    reports = await reporter(Door(), journal).reports(entry(), what)

    assert [report.id for report in reports] == ["R1", "R1"]
    assert all(report.message.edits for report in reports)
    assert [(r["kind"], r["id"], r["parent"], r["why"], r["to"]) for r in journal.records] == [
        ("origin", "R1", "M1", "failure", ["alice@example.org"]),
        ("origin", "R1", "M1", "delay", ["alice@example.org"]),
    ]


async def test_report_that_policy_cannot_edit_goes_out_unedited(
    caplog: pytest.LogCaptureFixture,
) -> None:
    [report] = await reporter(Door(broken=True), MemoryJournal()).reports(
        entry(), conclusion(notice())
    )

    assert report.message.edits == ()
    assert report.hops == (Hop("local", "alice@example.org"),)
    assert "unedited" in caplog.text


# -- what a report says -------------------------------------------------------------------------------------------


async def test_report_is_named_and_dated_and_names_the_message_it_is_about() -> None:
    report = message_from_bytes((await made(entry(), notice())).whole or b"")
    about, recipient = report.get_payload()[1].get_payload()  # type: ignore[index,union-attr]

    assert report["Message-ID"] == "<R1@mx.example.org>"
    assert report["From"].endswith("<MAILER-DAEMON@mx.example.org>")
    assert report["Date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert about["Original-Envelope-Id"] == "ENV"
    assert about["Reporting-MTA"] == "dns; mx.example.org"
    assert recipient["Final-Log-ID"] == "M1"


async def test_report_of_an_internationalised_message_is_internationalised() -> None:
    message = await made(entry(smtputf8=True), notice())

    assert b"message/global-delivery-status" in (message.whole or b"")


def of_size(octets: int) -> bytes:
    """A message in lines of 72 octets, but for the last."""
    lines, rest = divmod(octets - len(CONTENT), 72)
    return CONTENT + (b"x" * 70 + b"\r\n") * lines + b"x" * rest


@pytest.mark.parametrize(("more", "kind"), [(0, "message/rfc822"), (1, "text/rfc822-headers")])
async def test_message_is_returned_whole_up_to_the_bound(more: int, kind: str) -> None:
    assert (await returned(entry(of_size(MAX_RETURN + more))))[0] == kind


async def test_message_that_goes_on_at_the_bound_is_not_returned_whole() -> None:
    class Long:
        whole = None
        size = MAX_RETURN + 1

        async def chunks(self) -> AsyncIterator[bytes]:
            yield of_size(MAX_RETURN)
            yield b"x"

    assert (await returned(entry(Long())))[0] == "text/rfc822-headers"


async def test_unread_message_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    await made(entry(Broken()), notice())

    assert "report without the message m=M1" in caplog.text


async def test_journal_and_report_have_the_id_the_time_and_the_name_of_this_host() -> None:
    journal = MemoryJournal()

    [report] = await reporter(Door(), journal).reports(entry(), conclusion(notice()))

    [record] = journal.records
    assert record["at"] == EPOCH
    assert b"Message-ID: <R1@mx.example.org>\r\n" in (report.message.whole or b"")


async def test_unedited_report_has_its_id_and_is_named_with_its_parent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    [report] = await reporter(Door(broken=True), MemoryJournal()).reports(
        entry(), conclusion(notice())
    )

    assert report.id == "R1"
    assert "m=R1 parent=M1" in caplog.text
