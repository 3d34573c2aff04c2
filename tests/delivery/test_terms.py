"""The terms on which mail leaves, by the table that its hop names."""

from pathlib import Path
from typing import Any

import pytest

from notqmail.config import Outbound, SmarthostLogin, To
from notqmail.delivery.terms import Tables, Terms
from notqmail.mail.hop import Hop
from notqmail.mail.reply import Reply


def find(nexthop: str, *tables: To, **outbound: Any) -> tuple[Terms, str]:
    found = Tables.read(Outbound(to=tables, **outbound)).find(Hop("smtp", nexthop))
    assert not isinstance(found, Reply)
    return found


def refused(nexthop: str, *tables: To, **outbound: Any) -> str:
    found = Tables.read(Outbound(to=tables, **outbound)).find(Hop("smtp", nexthop))
    assert isinstance(found, Reply)
    return str(found)


def test_table_leaves_to_the_default_what_it_does_not_say() -> None:
    default: dict[str, Any] = {
        "tls": "encrypt",
        "tls_names": ("domain",),
        "prefer": "ipv4",
        "bind_ipv4": "192.0.2.1",
        "bind_ipv6": "2001:db8::1",
    }

    terms, _ = find("example.net;t", To(name="t"), **default)

    assert (terms.floor, terms.names, terms.prefer) == ("encrypt", ("domain",), "ipv4")
    assert (terms.source("203.0.113.1"), terms.source("2001:db8::9")) == (
        "192.0.2.1",
        "2001:db8::1",
    )
    assert not terms.overrides


def test_table_says_otherwise() -> None:
    table = To(
        name="t",
        tls="never",
        tls_names=("mx.example",),
        prefer="ipv6",
        bind_ipv4="192.0.2.2",
        bind_ipv6="2001:db8::2",
    )

    terms, _ = find("example.net;t", table, tls="verify", bind_ipv4="192.0.2.1")

    assert (terms.floor, terms.overrides) == ("never", True)
    assert (terms.names, terms.prefer) == (("mx.example",), "ipv6")
    assert terms.sources == ("192.0.2.2", "2001:db8::2")


def test_smarthost_and_login_are_those_of_the_table(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.touch(0o600)
    file.write_text("secret")
    login = SmarthostLogin(user="alice", password_file=str(file))
    mine = To(name="mine", smarthost="relay.example:465", login=login)

    default, _ = find("example.net", mine, smarthost="other.example:25")
    terms, target = find("old.example:465;mine", mine, smarthost="other.example:25")

    assert default.account is None
    assert (target, terms.implicit) == ("relay.example:465", True)
    assert terms.account is not None
    assert (terms.account.user, terms.account.password.reveal()) == ("alice", "secret")
    assert "secret" not in repr(terms)


def test_login_of_the_default_is_not_used_by_a_table(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.touch(0o600)
    file.write_text("secret")
    login = SmarthostLogin(user="alice", password_file=str(file))
    table = To(name="t", smarthost="other.example:587")

    terms, _ = find("other.example:587;t", table, smarthost="relay.example:587", login=login)

    assert terms.account is None


@pytest.mark.parametrize(
    ("port", "set", "implicit"), [(465, False, True), (587, False, False), (587, True, True)]
)
def test_tls_begins_with_the_connection_where_it_is_said_and_on_port_465(
    port: int, set: bool, implicit: bool
) -> None:
    terms, _ = find("x", smarthost=f"relay.example:{port}", implicit_tls=set)

    assert terms.implicit is implicit


def test_waiting_mail_goes_by_the_smarthost_of_today() -> None:
    table = To(name="t", smarthost="new.example:25")

    assert find("old.example:25;t", table)[1] == "new.example:25"
    assert find("example.net;t", table)[1] == "new.example:25"
    assert find("old.example:25", smarthost="new.example:25")[1] == "new.example:25"
    assert find("example.net", smarthost="new.example:25")[1] == "new.example:25"
    assert find("old.example:25")[1] == "old.example:25"


def test_mail_whose_table_is_gone_goes_as_all_other_mail() -> None:
    assert find("example.net;gone", tls="encrypt") == find("example.net", tls="encrypt")
    assert find("[192.0.2.1];gone")[1] == "[192.0.2.1]"
    assert find("old.example:25;gone", smarthost="new.example:25")[1] == "new.example:25"


@pytest.mark.parametrize("nexthop", ["old.example:25;gone", "[2001:db8::1]:25;gone"])
def test_mail_whose_smarthost_is_gone_waits(nexthop: str) -> None:
    assert refused(nexthop).startswith("451 4.3.5 the table 'gone' of [[outbound.to]]")


def test_mail_of_a_table_without_a_smarthost_any_more_waits() -> None:
    assert "has no smarthost any more" in refused("old.example:25;t", To(name="t"))


def test_lane_is_shared_by_what_is_sent_alike() -> None:
    assert Terms().lane("smtp:mx:25", "example.net") == "smtp:mx:25"
    assert Terms(name="t").lane("smtp:mx:25", "example.net") == "smtp:mx:25;t"
    assert Terms(names=("domain",)).lane("smtp:mx:25", "example.net") == "smtp:mx:25;example.net"
    assert len(Terms(name="t").lane("smtp:" + "m" * 300, "example.net")) < 256


def test_table_that_is_gone_is_known_to_be() -> None:
    tables = Tables.read(Outbound(to=(To(name="t"),)))

    assert tables.knows(Hop("smtp", "example.net;t"))
    assert tables.knows(Hop("smtp", "example.net"))
    assert not tables.knows(Hop("smtp", "example.net;gone"))
