"""The decision record behind `why`: what is recorded, and by what it is found again.

A record is a dict of what JSON has; what is empty is left out. It never holds content or secrets. `kind` says what
it tells of, `at` is wall-clock seconds when that ended, `seconds` how long it took:

    transaction   one message on its way in, or the attempt at one: peer, session, envelope, decisions, `result`
                  (accepted | refused | abandoned) and `reply`
    connection    a connection that came to nothing: peer, session, `why` it ended
    attempt       one attempt at one destination: queue id, `hop`, an outcome for each recipient, `next` due
    origin        a message we made ourselves: queue id, `parent`, `why` (bounce, delay notice, forward)
    operation     what somebody did to the queue: `action`, `by`, the queue ids
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from notqmail.mail.address import Address
from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Recipient
from notqmail.mail.errors import AddressError
from notqmail.mail.network import plain_address
from notqmail.mail.outcome import Outcome
from notqmail.mail.reply import Reply

Record = dict[str, Any]

MAX_TEXT: Final = 512  # characters kept of anything a peer chose


def with_reference(reply: Reply, ref: str) -> Reply:
    """Put `[ref …]` at the end of a reply's text, by which the refusal is found again."""
    return Reply(reply.code, reply.enhanced, f"{reply.text} [ref {ref}]")


class PeerFacts(Protocol):
    """What is recorded of policy.transaction.Peer."""

    @property
    def address(self) -> str: ...
    @property
    def name(self) -> str: ...


class DecisionFacts(Protocol):
    """What is recorded of policy.evidence.Decision."""

    @property
    def stage(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def word(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def reply(self) -> Reply | None: ...
    @property
    def inputs(self) -> Mapping[str, str | int | float]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def recipient(self) -> str: ...


class LoginFacts(Protocol):
    """What is recorded of mail.login.Login."""

    @property
    def account(self) -> str: ...
    @property
    def label(self) -> str: ...


class SessionFacts(Protocol):
    """What is recorded of policy.transaction.Session."""

    @property
    def id(self) -> str: ...
    @property
    def listener(self) -> str: ...
    @property
    def peer(self) -> PeerFacts: ...
    @property
    def helo(self) -> str: ...
    @property
    def tls(self) -> object | None: ...
    @property
    def login(self) -> LoginFacts | None: ...
    @property
    def local_user(self) -> str | None: ...
    @property
    def decisions(self) -> Sequence[DecisionFacts]: ...


class TransactionFacts(Protocol):
    """What is recorded of policy.transaction.Transaction."""

    @property
    def id(self) -> str: ...
    @property
    def ref(self) -> str: ...
    @property
    def session(self) -> SessionFacts: ...
    @property
    def sender(self) -> Address | None: ...
    @property
    def started(self) -> float: ...
    @property
    def protocol(self) -> str: ...
    @property
    def recipients(self) -> Sequence[Recipient]: ...
    @property
    def decisions(self) -> Sequence[DecisionFacts]: ...


def transaction_record(
    txn: TransactionFacts,
    now: float,
    reply: str,
    *,
    size: int = 0,
    message_id: str = "",
    removed: Sequence[str] = (),
    held: str = "",
) -> Record:
    """Record how a transaction ended. `reply` is the last word about it: a reply as text, or in words why there was
    none. `size` in octets and `message_id` when the message has arrived; `removed` are the header fields that we took
    out, `held` is why it was not to be delivered yet."""
    record: Record = {
        "kind": "transaction",
        "at": now,
        "id": txn.id,
        "result": _RESULTS.get(reply[:1], "abandoned"),
        "reply": reply[:MAX_TEXT],
        "from": str(txn.sender) if txn.sender is not None else "",
        "to": [str(recipient.address) for recipient in txn.recipients],
        "protocol": txn.protocol,
        "seconds": round(now - txn.started, 6),
        **_session(txn.session),
    }
    if txn.ref:
        record["ref"] = txn.ref
    if size:
        record["size"] = size
    if message_id:
        record["message_id"] = message_id[:MAX_TEXT]
    if removed:
        record["removed"] = list(removed)
    if held:
        record["held"] = held[:MAX_TEXT]
    if txn.decisions or txn.session.decisions:
        record["decisions"] = [_decision(d) for d in (*txn.session.decisions, *txn.decisions)]
    return record


def connection_record(session: SessionFacts, now: float, why: str, seconds: float) -> Record:
    """Record a connection that came to nothing."""
    record: Record = {
        "kind": "connection",
        "at": now,
        "why": why[:MAX_TEXT],
        "seconds": round(seconds, 6),
        **_session(session),
    }
    if session.decisions:
        record["decisions"] = [_decision(d) for d in session.decisions]
    return record


def attempt_record(
    entry: Entry, outcomes: Iterable[Outcome], now: float, seconds: float, due: float | None = None
) -> Record:
    """Record one attempt; `due` is the wall-clock time of the next one, None when there is none."""
    record: Record = {
        "kind": "attempt",
        "at": now,
        "id": entry.id,
        "hop": entry.hop.destination,
        "number": entry.attempts + 1,
        "outcomes": [_outcome(outcome) for outcome in outcomes],
        "seconds": round(seconds, 6),
    }
    if due is not None:
        record["next"] = due
    return record


def origin_record(
    id: str, now: float, *, parent: str, why: str, sender: Address | None, to: Iterable[Address]
) -> Record:
    """Record a message we made ourselves: a bounce, a delay notice, a forward."""
    return {
        "kind": "origin",
        "at": now,
        "id": id,
        "parent": parent,
        "why": why,
        "from": str(sender) if sender is not None else "",
        "to": [str(address) for address in to],
    }


def operation_record(now: float, action: str, by: str, ids: Iterable[str]) -> Record:
    """Record what somebody did to the queue; `by` names who."""
    return {"kind": "operation", "at": now, "action": action, "by": by, "ids": list(ids)}


_RESULTS: Final = {"2": "accepted", "4": "refused", "5": "refused"}


def _session(session: SessionFacts) -> Record:
    peer = session.peer
    facts: Record = {"session": session.id, "listener": session.listener}
    if peer.address:
        facts["ip"] = peer.address
    if peer.name:
        facts["name"] = peer.name
    if session.helo:
        facts["helo"] = session.helo[:MAX_TEXT]
    if session.tls is not None:
        facts["tls"] = str(session.tls)
    if session.login is not None:
        facts["login"] = session.login.account
        if session.login.label:
            facts["label"] = session.login.label
    if session.local_user is not None:
        facts["user"] = session.local_user
    return facts


def _decision(decision: DecisionFacts) -> Record:
    record: Record = {
        "stage": decision.stage,
        "phase": decision.phase,
        "verdict": decision.word,
        "rule": decision.rule,
        "seconds": round(decision.seconds, 6),
    }
    if decision.reply is not None:
        record["reply"] = str(decision.reply)[:MAX_TEXT]
    if decision.inputs:
        record["inputs"] = dict(decision.inputs)
    if decision.recipient:
        record["to"] = decision.recipient
    return record


def _outcome(outcome: Outcome) -> Record:
    record: Record = {
        "to": str(outcome.recipient.address),
        "action": outcome.action.value,
        "reply": str(outcome.reply)[:MAX_TEXT],
    }
    if outcome.remote_mta:
        record["mta"] = outcome.remote_mta
    if outcome.tls is not None:
        record["tls"] = str(outcome.tls)[:MAX_TEXT]
    return record


# How records are found

_NAMES: Final = ("id", "ref", "ip", "from", "parent")


def keys(record: Mapping[str, Any]) -> set[str]:
    """Give all names by which a record can be asked for, as `key` writes them."""
    get = record.get
    found = {record[name].lower() for name in _NAMES if get(name)}
    if message_id := get("message_id"):
        found.add(message_id.strip("<>").lower())
    for address in get("to") or get("ids") or ():
        found.add(address.lower())
    for outcome in get("outcomes", ()):
        found.add(outcome["to"].lower())
    for decision in get("decisions", ()):
        if address := decision.get("to"):
            found.add(address.lower())
    return found


def key(asked: str) -> str:
    """Write what somebody asks for as `keys` does: `[ref …]`, `<message-id>`, an address in any spelling, an IP."""
    text = asked.strip().removeprefix("[ref ").rstrip("]").strip("<>")
    with contextlib.suppress(AddressError):
        return str(Address.parse(text)).lower()
    return plain_address(text).lower()
