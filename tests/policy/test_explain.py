"""`why` in plain words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.outcome import Action
from notqmail.mail.protection import Level, Protection
from notqmail.policy.explain import NOTHING, explain
from tests.support import records
from tests.support.records import EPOCH


def test_nothing_known_is_said_so() -> None:
    assert explain([]) == NOTHING + "\n"


def test_an_accepted_message_is_told_from_its_arrival_to_its_delivery() -> None:
    assert explain([records.attempted(at=EPOCH + 1), records.accepted()]) == (
        "2027-01-15 08:00:00 UTC  message 1QUEUEID was accepted: 250 2.0.0 queued\n"
        "    from <bob@example.net> to alice@example.org (4096 octets, Message-ID <One@example.net>)\n"
        "    received by ESMTP from 192.0.2.1 (client.example.net), HELO client.example.net, in clear"
        " on listener mx, session S1\n"
        "2027-01-15 08:00:01 UTC  message 1QUEUEID: attempt 1 to smtp example.org, 1.5 s\n"
        "    alice@example.org delivered (mx.example.org): 250 2.0.0 delivered\n"
    )


def test_a_refusal_names_stage_rule_and_recipient() -> None:
    told = explain([records.refused()])

    assert "message 1QUEUEID [ref K7Q2M4XW] was refused: 550 5.7.1 no" in told
    assert "to nobody yet" in told
    assert 'refused carol@example.org by stage loops at rcpt, rule "no": 550 5.7.1 no' in told


def test_a_delay_names_the_next_attempt() -> None:
    told = explain([records.attempted(Action.DELAYED, due=EPOCH + 3600)])

    assert "the next attempt is due at 2027-01-15 09:00:00 UTC" in told


def test_protection_of_a_session_is_told_once() -> None:
    record = dict(records.attempted(tls=Protection(Level.CLEAR, why="STARTTLS is not offered")))
    record["outcomes"] = record["outcomes"] * 2

    told = explain([record])

    assert told.count("    TLS: in clear: STARTTLS is not offered\n") == 1


def test_a_connection_without_a_message_is_told() -> None:
    told = explain([records.dropped()])

    assert "connection ended without a message: connection lost" in told
    assert "refused by stage lists at connect" in told


def test_messages_of_our_own_and_operations_are_told() -> None:
    told = explain([records.bounced(), records.operated()])

    assert "message 1BOUNCE made here (bounce), because of message 1QUEUEID" in told
    assert "from <> to bob@example.net" in told
    assert "root: delete 1QUEUEID, 1OTHER" in told


def test_what_happened_last_stands_first() -> None:
    told = explain([records.accepted(id="1OLD"), records.accepted(id="1NEW", at=EPOCH + 9)])

    assert told.index("1NEW") < told.index("1OLD")


def test_records_without_an_id_are_stories_of_their_own() -> None:
    assert explain([records.dropped(), records.dropped()]).count("\n\n") == 1


def test_who_is_known_is_named() -> None:
    known = {**records.accepted(), "login": "alice", "tls": "TLSv1.3"}
    local = {**records.accepted(), "user": "alice"}

    assert "TLSv1.3, logged in as alice on listener" in explain([known])
    assert ", logged in as alice (app password phone) on" in explain([{**known, "label": "phone"}])
    assert "injected by local user alice, session S1" in explain([local])


def test_a_held_message_is_told_with_the_remedy() -> None:
    held = {**records.accepted(), "login": "alice", "held": "3 messages within an hour"}

    told = explain([held])

    assert (
        "    held in the queue, because the account alice has sent 3 messages within an hour\n"
        "    to deliver it: notqmail user release alice\n"
    ) in told


def test_what_was_taken_out_of_the_header_is_told() -> None:
    assert "    taken out of its header: bcc, return-path\n" in explain(
        [{**records.accepted(), "removed": ["bcc", "return-path"]}]
    )


def test_inputs_are_shown() -> None:
    record = records.refused()
    record["decisions"][0]["inputs"] = {"received": 101, "limit": 100}

    assert "(received 101; limit 100)" in explain([record])


def test_a_record_of_a_later_version_does_not_end_the_telling() -> None:
    assert "a record of kind omen" in explain([{"kind": "omen", "at": EPOCH}])


@given(st.text())
def test_nothing_moves_the_cursor_of_a_terminal(text: str) -> None:
    told = explain([{**records.accepted(), "helo": text, "reply": text}])

    assert told.replace("\n", "").isprintable()
    assert told.count("\n") == 3


def test_what_is_not_known_is_not_said() -> None:
    record = records.refused()
    record["decisions"] = [
        {"stage": "s", "phase": "rcpt", "verdict": "odd", "rule": "", "inputs": {}}
    ]
    record = {k: v for k, v in record.items() if k not in ("name", "helo", "ip", "protocol")}

    told = explain([{**record, "result": "odd"}])

    assert "message 1QUEUEID [ref K7Q2M4XW] odd: 550 5.7.1 no\n" in told
    assert "to nobody yet\n" in told
    assert "received from an unknown address, in clear on listener mx, session S1\n" in told
    assert "odd by stage s at rcpt\n" in told


def test_a_connection_without_decisions_and_a_message_without_parent_are_told() -> None:
    alone = {k: v for k, v in records.dropped().items() if k != "decisions"}
    orphan = {k: v for k, v in records.bounced().items() if k != "parent"}

    assert "by stage" not in explain([alone])
    assert "made here (bounce)\n" in explain([orphan])


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.0004, "0 ms"), (0.25, "250 ms"), (1.0, "1.0 s"), (2.25, "2.2 s")]
)
def test_a_span_is_told_in_the_unit_that_fits(seconds: float, told: str) -> None:
    record = {**records.attempted(), "seconds": seconds, "hop": "smtp:[2001:db8::1]:25"}
    record["outcomes"] = [{"to": "a@b", "action": "delayed", "reply": "451 later"}]

    assert explain([record]).split("UTC  ")[1] == (
        f"message 1QUEUEID: attempt 1 to smtp [2001:db8::1]:25, {told}\n"
        "    a@b delayed: 451 later\n"
    )


def test_only_what_moves_a_cursor_is_replaced() -> None:
    told = explain([{**records.accepted(), "reply": "250 J\x1brg\u00fc\u00df"}])

    assert "250 J?rg\u00fc\u00df" in told
