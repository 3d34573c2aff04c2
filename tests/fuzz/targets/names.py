"""Names from elsewhere: what is asked of DNS and what it says, what is looked for in the journal, where mail goes."""

import re
from types import SimpleNamespace
from typing import Any

import pycares

from notqmail.journal import key, keys, with_reference
from notqmail.mail.hop import Hop
from notqmail.mail.reply import Reply
from notqmail.ports import DnsStatus, MxRecord
from notqmail.system import dns as resolver
from tests.fuzz.given import Given

_TYPES = (
    pycares.QUERY_TYPE_MX,
    pycares.QUERY_TYPE_CNAME,
    pycares.QUERY_TYPE_TXT,
    pycares.QUERY_TYPE_A,
)
_NAME = re.compile(r"[!-\-/-\[\]-~]+(?:\.[!-\-/-\[\]-~]+)*")


def _record(kind: int, ttl: int, text: str) -> Any:
    """As c-ares gives it: only these fields are read."""
    data = SimpleNamespace(priority=ttl, exchange=text, data=text.encode(), addr=text, dname=text)
    return SimpleNamespace(type=kind, ttl=ttl, data=data)


def dns(data: bytes) -> None:
    """A name is asked in one form or not at all; of an answer only the records asked for are taken."""
    given = Given(data)
    section = [_record(_TYPES[given.number(4)], given.number(), "") for _ in range(given.number(8))]
    name, *exchanges = given.texts(len(section) + 1)
    for record, text in zip(section, exchanges, strict=True):
        record.data.exchange = text

    query = resolver._query_name(name)
    if query is not None:
        assert len(query) <= 253
        assert _NAME.fullmatch(query)
        assert resolver._query_name(query) == query

    answer = resolver._answer(
        "example.org", "MX", section, lambda d: MxRecord(d.priority, resolver._name(d.exchange))
    )
    wanted = [record for record in section if record.type == pycares.QUERY_TYPE_MX]
    assert len(answer.records) == len(wanted)
    assert (answer.status is DnsStatus.OK) == bool(wanted)
    assert answer.ttl == (min(record.ttl for record in section) if wanted else 0)


def journal(data: bytes) -> None:
    """What is asked for has one form, and a record is found by every name that is written into it."""
    text = Given(data).text()
    asked = key(text)
    assert asked == asked.lower()
    assert len(asked) <= 3 * len(text) + 64
    assert key(with_reference(Reply(550, "5.7.1", "no"), "R1").text[3:]) == "r1"
    record = {"ref": "R1", "message_id": text, "to": [text], "ids": [text]}
    assert all(name == name.lower() for name in keys(record))


def hop(data: bytes) -> None:
    """A destination is read back as it was written."""
    transport, nexthop = Given(data).texts(2)
    there = Hop(transport.replace(":", ""), nexthop)
    assert Hop.of(there.destination) == there
