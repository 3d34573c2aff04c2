"""The pipelines of the kinds of listeners, as they are put together."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from notqmail.app.rules import Rules, make_rules
from notqmail.config import Config, parse
from notqmail.mail.address import Address
from notqmail.mail.envelope import Recipient
from notqmail.mail.login import Login
from notqmail.mail.message import Message, Octets
from notqmail.policy.pipeline import Pipeline
from notqmail.policy.settle import settle_verdicts
from notqmail.policy.transaction import Session, Transaction
from notqmail.policy.verdict import Defer, Reject
from tests.support.clock import FakeClock
from tests.support.directory import MemoryDirectory
from tests.support.policy import PEER, TLS, settled
from tests.support.sending import MemorySending

ALICE = Address("alice", "example.org")
LOGIN = Login("alice@example.org", ALICE)
STRANGER = Recipient(Address("dave", "example.net"))
LETTER = b"From: alice@example.org\r\nBcc: eve@example.net\r\n\r\nhi\r\n"


def config(**submission: Any) -> Config:
    raw: dict[str, Any] = {
        "hostname": "mx.example.org",
        "domain": [{"name": "example.org"}],
        "tls": {"certificate": [{"chain": "c.pem", "key": "k.pem"}]},
        "listen": [
            {"name": kind, "kind": kind, "bind": ["127.0.0.1:0"]}
            for kind in ("mx", "submission", "submissions")
        ],
        "submission": submission,
    }
    return parse(raw, Path("/x/notqmail.toml"))


def rules(**submission: Any) -> Rules:
    directory = MemoryDirectory(["example.org"], ["alice@example.org", "bob@example.org"])
    return make_rules(
        config(**submission), directory, FakeClock(), lambda: "REF", lambda address: False
    )


def send(
    kind: str = "submission",
    content: bytes = LETTER,
    *,
    login: Login | None = LOGIN,
    sender: Address | None = ALICE,
    to: Recipient = STRANGER,
    tls: bool = True,
    **submission: Any,
) -> str | bytes:
    """Send a message through the pipeline of a kind; give the refusal, or the message as it is queued."""
    pipeline = rules(**submission).pipelines[kind]
    return asyncio.run(_send(pipeline, kind, content, login, sender, to, tls))


async def _send(
    pipeline: Pipeline,
    kind: str,
    content: bytes,
    login: Login | None,
    sender: Address | None,
    to: Recipient,
    tls: bool,
) -> str | bytes:
    session = Session("S1", kind, kind, PEER, "[192.0.2.7]", esmtp=True)
    session.tls, session.login = TLS if tls else None, login
    await settled(pipeline.connect(session))
    await settled(pipeline.helo(session))
    txn = Transaction("1QUEUEID", session, sender, 0.0)
    await settled(pipeline.mail(txn))
    verdict = await settled(pipeline.rcpt(txn, to))
    if isinstance(verdict, Defer | Reject):
        return str(verdict.reply)
    txn.recipients.append(to)
    message = Message(txn.envelope, Octets(content))
    refused = settle_verdicts(await settled(pipeline.message(txn, message))).reply
    if refused is not None:
        return str(refused)
    queued: Message = await settled(pipeline.queue(txn, message))
    return queued.whole or b""


@pytest.mark.parametrize("kind", ["submission", "submissions"])
def test_who_has_logged_in_sends_anywhere_and_his_message_is_completed(kind: str) -> None:
    sent = send(kind)

    assert isinstance(sent, bytes)
    received, *rest = sent.decode().replace("\r\n\t", " ").split("\r\n")
    assert received.startswith("Received: by mx.example.org (notqmail) with ESMTPSA id 1QUEUEID")
    assert rest == [
        "Date: Thu, 1 Jan 1970 00:00:00 +0000",
        "Message-ID: <1QUEUEID@mx.example.org>",
        "From: alice@example.org",
        "",
        "hi",
        "",
    ]


@pytest.mark.parametrize("to", [STRANGER, Recipient(Address("postmaster", "example.org"))])
def test_submission_needs_tls_and_a_login_whoever_it_is_for(to: Recipient) -> None:
    said = "530 5.7.0 Must issue a STARTTLS command first [ref REF]"
    assert send(login=None, tls=False, to=to) == said
    assert send(tls=False, to=to) == said
    assert send(login=None, to=to) == "530 5.7.0 authentication required [ref REF]"


def test_another_sender_is_refused() -> None:
    bob = Address("bob", "example.org")
    other = LETTER.replace(b"alice", b"bob")

    assert str(send(sender=bob)).startswith("553 5.7.1 not your address")
    assert str(send(content=other)).startswith("550 5.7.1 From is not your address")
    assert isinstance(send(content=other, check_sender="envelope"), bytes)
    assert str(send(sender=bob, check_sender="envelope")).startswith("553 5.7.1")
    assert isinstance(send(content=other, sender=bob, check_sender="off"), bytes)


def test_an_unknown_mailbox_of_ours_is_refused_to_our_own_people_too() -> None:
    nobody = Recipient(Address("nobody", "example.org"))

    assert str(send(to=nobody)).startswith("550 5.1.1 no such mailbox here")


def test_what_is_no_header_is_refused() -> None:
    assert str(send(content=b"hello\r\n")).startswith("550 5.6.0")


def test_a_login_helps_nobody_on_the_mx_kind() -> None:
    bob = Recipient(Address("bob", "example.org"))

    assert str(send("mx", login=None)).startswith("550 5.7.1 relaying denied")
    sent = send("mx", login=None, tls=False, to=bob)
    assert b"Bcc: eve@example.net\r\n" in bytes(sent)  # type: ignore[arg-type]


def test_an_account_over_its_limits_is_held() -> None:
    directory = MemoryDirectory(["example.org"], ["alice@example.org"])
    sending = MemorySending()
    made = make_rules(
        config(recipients_per_hour=1),
        directory,
        FakeClock(),
        lambda: "REF",
        lambda address: False,
        sending=sending,
    )

    sent = [
        asyncio.run(_send(made.pipelines[kind], kind, LETTER, LOGIN, ALICE, STRANGER, tls=True))
        for kind in ("submission", "submissions")
    ]

    assert all(isinstance(each, bytes) for each in sent)
    assert sending.held["alice@example.org"].reason == (
        "2 recipients within an hour, submission.recipients_per_hour is 1"
    )
