"""Journal records of a message's life, as the server writes them."""

from notqmail.journal import (
    Record,
    attempt_record,
    connection_record,
    operation_record,
    origin_record,
    transaction_record,
)
from notqmail.mail.address import Address
from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Recipient
from notqmail.mail.hop import Hop
from notqmail.mail.message import Message, Octets
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.protection import Protection
from notqmail.mail.reply import Reply
from notqmail.policy.evidence import Decision
from tests.support.clock import EPOCH
from tests.support.policy import ALICE, CAROL, NO, session, transaction

ID = "1QUEUEID"
QUEUED = "250 2.0.0 queued"


def accepted(*recipients: Recipient, id: str = ID, at: float = EPOCH) -> Record:
    txn = transaction(*(recipients or (ALICE,)), within=session(esmtp=True))
    txn.id, txn.started = id, at - 0.25
    return transaction_record(txn, at, QUEUED, size=4096, message_id="<One@example.net>")


def refused(ref: str = "K7Q2M4XW", at: float = EPOCH) -> Record:
    txn = transaction(within=session(esmtp=True))
    txn.ref, txn.started = ref, at
    txn.decisions.append(Decision("loops", "rcpt", NO, 0.5, str(CAROL.address)))
    return transaction_record(txn, at, str(NO.reply))


def dropped(at: float = EPOCH) -> Record:
    within = session()
    within.decisions.append(Decision("lists", "connect", NO))
    return connection_record(within, at, "connection lost", 2.0)


def attempted(
    action: Action = Action.DELIVERED,
    due: float | None = None,
    at: float = EPOCH,
    tls: Protection | None = None,
) -> Record:
    reply = Reply(250, "2.0.0", "delivered")
    message = Message(transaction(ALICE).envelope, Octets(b""))
    entry = Entry(ID, message, Hop("smtp", "example.org"), EPOCH, 1)
    outcome = Outcome(ALICE, action, reply, "mx.example.org", at, tls=tls)
    return attempt_record(entry, [outcome], at, 1.5, due)


def bounced(at: float = EPOCH) -> Record:
    to = [Address("bob", "example.net")]
    return origin_record("1BOUNCE", at, parent=ID, why="bounce", sender=None, to=to)


def operated(at: float = EPOCH) -> Record:
    return operation_record(at, "delete", "root", [ID, "1OTHER"])
