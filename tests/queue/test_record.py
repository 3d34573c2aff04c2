"""What is written down of an attempt."""

import logging
from dataclasses import replace

import pytest

from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.protection import Level, Protection
from notqmail.mail.reply import Reply
from notqmail.queue.conclude import Conclusion
from notqmail.queue.record import record_attempt
from tests.queue.test_bounce import BOB, GONE, entry
from tests.support.clock import EPOCH
from tests.support.queue_world import MemoryJournal

BUSY = Outcome(BOB, Action.DELAYED, Reply(450, "4.2.1", "busy"), "mx.example.net", EPOCH)


def concluded(outcome: Outcome, due: float | None, *, dropped: bool = False) -> Conclusion:
    return Conclusion((outcome,), due, (), False, (outcome,) if dropped else (), EPOCH)


def test_journal_has_one_record_for_each_attempt() -> None:
    journal = MemoryJournal()

    record_attempt(journal, entry(), concluded(BUSY, EPOCH + 400), EPOCH, 1.5)

    [record] = journal.records
    assert (record["kind"], record["id"], record["hop"]) == ("attempt", "M1", "smtp:example.net")
    assert (record["at"], record["seconds"], record["next"]) == (EPOCH, 1.5, EPOCH + 400)
    assert record["outcomes"][0]["reply"] == "450 4.2.1 busy"


def test_log_has_a_line_for_each_recipient(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    record_attempt(MemoryJournal(), entry(), concluded(BUSY, None), EPOCH, 1.5)

    assert caplog.messages == [
        "delayed m=M1 to=bob@example.net hop=smtp:example.net mta=mx.example.net tls='' "
        "reply='450 4.2.1 busy' seconds=1.500"
    ]


def test_log_tells_how_the_session_was_protected(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    busy = replace(BUSY, tls=Protection(Level.VERIFIED, "TLSv1.3", "AES", "as mx.example.net"))

    record_attempt(MemoryJournal(), entry(), concluded(busy, None), EPOCH, 1.5)

    assert " tls='TLSv1.3 AES verified: as mx.example.net' reply=" in caplog.messages[0]


def test_quiet_log_has_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    record_attempt(MemoryJournal(), entry(), concluded(BUSY, None), EPOCH, 1.5)

    assert caplog.messages == []


def test_what_is_dropped_is_logged_as_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    record_attempt(MemoryJournal(), entry(), concluded(GONE, None, dropped=True), EPOCH, 0.0)

    assert caplog.messages == [
        "dropped, nobody is left to be told m=M1 to=bob@example.net reply='550 5.1.1 gone'"
    ]
