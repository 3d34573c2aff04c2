"""The journal in plain words: what `notqmail why` prints.

Records that tell of one message stand together, in the order in which things happened; what happened last stands
first. Nothing is shown that could move a terminal's cursor.
"""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

Record = Mapping[str, Any]

NOTHING: Final = "Nothing is known by that name (or it is older than the journal's retention)."


def explain(records: Sequence[Record]) -> str:
    """Tell what records say, as text for a postmaster; every line ends in LF."""
    if not records:
        return NOTHING + "\n"
    stories: dict[str, list[Record]] = {}
    for number, record in enumerate(records):
        stories.setdefault(record.get("id") or f"#{number}", []).append(record)
    told = sorted(stories.values(), key=lambda story: max(r["at"] for r in story), reverse=True)
    return "\n".join("".join(_story(story)) for story in told)


def _story(records: Sequence[Record]) -> Iterator[str]:
    for record in sorted(records, key=lambda each: each["at"]):
        tell = _KINDS.get(record["kind"], _unknown)
        first, *more = tell(record)
        yield f"{_when(record['at'])}  {_clean(first)}\n"
        yield from (f"    {_clean(line)}\n" for line in more)


def _transaction(record: Record) -> Iterator[str]:
    ref = f" [ref {record['ref']}]" if "ref" in record else ""
    yield f"message {record['id']}{ref} {_RESULTS.get(record['result'], record['result'])}: {record['reply']}"
    yield f"from {_sender(record)} to {_list(record['to']) or 'nobody yet'}{_about(record)}"
    yield _origin_of(record)
    if "removed" in record:
        yield f"taken out of its header: {_list(record['removed'])}"
    if "held" in record:
        account = record["login"]  # nobody else's mail is held
        yield f"held in the queue, because the account {account} has sent {record['held']}"
        yield f"to deliver it: notqmail user release {shlex.quote(account)}"
    for decision in record.get("decisions", ()):
        yield _decision(decision)


def _connection(record: Record) -> Iterator[str]:
    yield f"connection ended without a message: {record['why']}"
    yield _origin_of(record)
    for decision in record.get("decisions", ()):
        yield _decision(decision)


def _attempt(record: Record) -> Iterator[str]:
    transport, _, nexthop = record["hop"].partition(":")
    to = f"{transport} {nexthop}".strip()
    yield f"message {record['id']}: attempt {record['number']} to {to}, {_span(record['seconds'])}"
    for outcome in record["outcomes"]:
        by = f" ({outcome['mta']})" if "mta" in outcome else ""
        yield f"{outcome['to']} {outcome['action']}{by}: {outcome['reply']}"
    # mostly one for all recipients
    yield from dict.fromkeys(f"TLS: {each['tls']}" for each in record["outcomes"] if "tls" in each)
    if "next" in record:
        yield f"the next attempt is due at {_when(record['next'])}"


def _origin(record: Record) -> Iterator[str]:
    parent = f", because of message {record['parent']}" if record.get("parent") else ""
    yield f"message {record['id']} made here ({record['why']}){parent}"
    yield f"from {_sender(record)} to {_list(record['to'])}"


def _operation(record: Record) -> Iterator[str]:
    yield f"{record['by']}: {record['action']} {_list(record['ids'])}"


def _unknown(record: Record) -> Iterator[str]:
    yield f"a record of kind {record['kind']}, which this version does not know"


_KINDS: Final[Mapping[str, Callable[[Record], Iterator[str]]]] = {
    "transaction": _transaction,
    "connection": _connection,
    "attempt": _attempt,
    "origin": _origin,
    "operation": _operation,
}
_RESULTS: Final = {
    "accepted": "was accepted",
    "refused": "was refused",
    "abandoned": "was not sent",
}
_VERDICTS: Final = {
    "accept": "let pass",
    "quarantine": "marked as suspicious",
    "defer": "put off",
    "reject": "refused",
}


def _decision(decision: Record) -> str:
    whom = f" {decision['to']}" if "to" in decision else ""
    rule = f', rule "{decision["rule"]}"' if decision["rule"] else ""
    inputs = "; ".join(f"{name} {value}" for name, value in decision.get("inputs", {}).items())
    reply = f": {decision['reply']}" if "reply" in decision else ""
    verdict = _VERDICTS.get(decision["verdict"], decision["verdict"])
    return (
        f"{verdict}{whom} by stage {decision['stage']} at {decision['phase']}{rule}"
        f"{f' ({inputs})' if inputs else ''}{reply}"
    )


def _origin_of(record: Record) -> str:
    if "user" in record:
        return f"injected by local user {record['user']}, session {record['session']}"
    name = f" ({record['name']})" if "name" in record else ""
    helo = f", HELO {record['helo']}" if "helo" in record else ""
    label = f" (app password {record['label']})" if "label" in record else ""
    login = f", logged in as {record['login']}{label}" if "login" in record else ""
    tls = f", {record['tls']}" if "tls" in record else ", in clear"
    protocol = f" by {record['protocol']}" if record.get("protocol") else ""
    return (
        f"received{protocol} from {record.get('ip', 'an unknown address')}{name}{helo}{tls}{login}"
        f" on listener {record['listener']}, session {record['session']}"
    )


def _sender(record: Record) -> str:
    return f"<{record['from']}>"


def _about(record: Record) -> str:
    facts = []
    if "size" in record:
        facts.append(f"{record['size']} octets")
    if "message_id" in record:
        facts.append(f"Message-ID {record['message_id']}")
    return f" ({', '.join(facts)})" if facts else ""


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


def _span(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _when(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _clean(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
