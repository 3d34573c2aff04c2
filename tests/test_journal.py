"""Records: what they hold, what they leave out, by what they are found."""

import msgspec
import pytest

from notqmail.journal import (
    MAX_TEXT,
    Record,
    attempt_record,
    connection_record,
    key,
    keys,
    transaction_record,
    with_reference,
)
from notqmail.mail.entry import Entry
from notqmail.mail.hop import Hop
from notqmail.mail.login import Login
from notqmail.mail.message import Message, Octets
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.protection import Level, Protection
from notqmail.mail.reply import Reply
from notqmail.policy.evidence import Decision
from notqmail.policy.transaction import Peer
from notqmail.policy.verdict import Accept, Reject
from tests.support import records
from tests.support.policy import ALICE, CAROL, NO, TLS, session, transaction
from tests.support.records import EPOCH, ID

ALL = [
    records.accepted(),
    records.refused(),
    records.dropped(),
    records.attempted(due=EPOCH + 60),
    records.bounced(),
    records.operated(),
]


def test_a_transaction_is_recorded_whole() -> None:
    assert records.accepted(ALICE, CAROL) == {
        "kind": "transaction",
        "at": EPOCH,
        "id": ID,
        "result": "accepted",
        "reply": "250 2.0.0 queued",
        "from": "bob@example.net",
        "to": ["alice@example.org", "carol@example.org"],
        "protocol": "ESMTP",
        "seconds": 0.25,
        "session": "S1",
        "listener": "mx",
        "ip": "192.0.2.1",
        "name": "client.example.net",
        "helo": "client.example.net",
        "size": 4096,
        "message_id": "<One@example.net>",
    }


def test_a_refusal_is_recorded_with_what_decided() -> None:
    within = session()
    within.decisions.append(Decision("lists", "connect", Reject(NO.reply, "zone", {"zone": "x"})))
    txn = transaction(within=within)
    txn.decisions.append(Decision("lists", "rcpt", NO, 0.25, "alice@example.org"))

    record = transaction_record(txn, EPOCH, str(NO.reply))

    assert record["result"] == "refused"
    assert record["decisions"] == [
        {
            "stage": "lists",
            "phase": "connect",
            "verdict": "reject",
            "rule": "zone",
            "seconds": 0.0,
            "reply": "550 5.7.1 no",
            "inputs": {"zone": "x"},
        },
        {
            "stage": "lists",
            "phase": "rcpt",
            "verdict": "reject",
            "rule": "no",
            "seconds": 0.25,
            "reply": "550 5.7.1 no",
            "to": "alice@example.org",
        },
    ]


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        ("250 2.0.0 queued", "accepted"),
        ("451 4.3.0 later", "refused"),
        ("554 5.4.6 loop", "refused"),
        ("QUIT", "abandoned"),
        ("", "abandoned"),
    ],
)
def test_the_result_follows_from_the_last_word(reply: str, result: str) -> None:
    assert transaction_record(transaction(), EPOCH, reply)["result"] == result


def test_who_is_known_is_recorded() -> None:
    known = session(login=Login("alice", label="phone"), local_user="alice", tls=TLS)
    record = transaction_record(transaction(within=known), EPOCH, "")

    assert (record["login"], record["user"], record["tls"]) == ("alice", "alice", str(TLS))
    assert record["label"] == "phone"
    main = transaction(within=session(login=Login("alice")))
    assert "label" not in transaction_record(main, EPOCH, "")


def test_what_was_done_to_an_accepted_message_is_recorded() -> None:
    record = transaction_record(
        transaction(), EPOCH, "250 2.0.0 queued", removed=["bcc"], held="y" * 5000
    )

    assert record["removed"] == ["bcc"]
    assert record["held"] == "y" * MAX_TEXT
    assert not {"removed", "held"} & set(transaction_record(transaction(), EPOCH, "250 ok"))


def test_a_local_injection_has_no_address() -> None:
    local = session(peer=Peer("", 0, "", 0), helo="", local_user="alice")
    record = transaction_record(transaction(within=local), EPOCH, "")

    assert not {"ip", "name", "helo"} & set(record)


def test_the_null_sender_is_empty() -> None:
    txn = transaction()
    txn.sender = None

    assert transaction_record(txn, EPOCH, "")["from"] == ""


def test_what_a_peer_chose_is_cut() -> None:
    long = "x" * 5000
    record = transaction_record(
        transaction(within=session(helo=long)), EPOCH, long, message_id=long
    )

    assert {len(record[name]) for name in ("helo", "reply", "message_id")} == {MAX_TEXT}


def test_what_is_empty_is_left_out() -> None:
    txn = transaction()
    txn.decisions.append(Decision("lists", "rcpt", Accept("known")))
    by_us = Outcome(ALICE, Action.DELIVERED, Reply(250, "2.0.0", "delivered"))
    entry = Entry(ID, Message(txn.envelope, Octets(b"")), Hop("local"), EPOCH, 1)

    assert set(transaction_record(txn, EPOCH, "")["decisions"][0]) == {
        "stage",
        "phase",
        "verdict",
        "rule",
        "seconds",
    }
    assert set(attempt_record(entry, [by_us], EPOCH, 0.0)["outcomes"][0]) == {
        "to",
        "action",
        "reply",
    }
    assert "decisions" not in connection_record(session(), EPOCH, "connection lost", 1.0)


def test_protection_of_the_session_is_recorded_within_bounds() -> None:
    record = records.attempted(tls=Protection(Level.UNVERIFIED, "TLSv1.3", "AES", "x" * 9999))

    (outcome,) = record["outcomes"]
    assert outcome["tls"].startswith("TLSv1.3 AES not verified: xxx")
    assert len(outcome["tls"]) == MAX_TEXT


@pytest.mark.parametrize("record", ALL, ids=lambda record: record["kind"])
def test_every_record_is_json(record: Record) -> None:
    assert msgspec.json.decode(msgspec.json.encode(record)) == record


FOUND_BY = {
    "transaction": {
        "1queueid",
        "192.0.2.1",
        "bob@example.net",
        "alice@example.org",
        "one@example.net",
    },
    "refused": {"1queueid", "k7q2m4xw", "192.0.2.1", "bob@example.net", "carol@example.org"},
    "connection": {"192.0.2.1"},
    "attempt": {"1queueid", "alice@example.org"},
    "origin": {"1queueid", "1bounce", "bob@example.net"},
    "operation": {"1queueid", "1other"},
}


@pytest.mark.parametrize("record", ALL, ids=lambda record: record["kind"])
def test_records_are_found_by_their_names(record: Record) -> None:
    kind = "refused" if "ref" in record else record["kind"]

    assert keys(record) == FOUND_BY[kind]


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (ID, "1queueid"),
        ("K7Q2M4XW", "k7q2m4xw"),
        ("[ref K7Q2M4XW]", "k7q2m4xw"),
        ("<One@example.net>", "one@example.net"),
        (" Alice@EXAMPLE.org ", "alice@example.org"),
        ("alice@bücher.example", "alice@xn--bcher-kva.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("not an address", "not an address"),
    ],
)
def test_a_name_is_understood_in_any_spelling(asked: str, name: str) -> None:
    assert key(asked) == name


def test_a_reference_stands_at_the_end_of_a_reply() -> None:
    reply = with_reference(Reply(550, "5.7.1", "no"), "K7Q2M4XW")

    assert str(reply) == "550 5.7.1 no [ref K7Q2M4XW]"
