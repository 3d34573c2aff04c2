"""The senders file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.errors import ConfigError
from notqmail.system.senders_text import account_key, parse_senders


@pytest.mark.parametrize(
    ("line", "account", "senders"),
    [
        ("alice@example.org: b@example.org", "alice@example.org", {("b", "example.org")}),
        ("alice@example.org:@example.net", "alice@example.org", {("", "example.net")}),
        (
            "  Alice@Example.ORG : B@example.org, @BÜCHER.example,  # both",
            "alice@example.org",
            {("b", "example.org"), ("", "xn--bcher-kva.example")},
        ),
        ('backup: "a b"@[192.0.2.1]', "backup", {("a b", "[192.0.2.1]")}),
        ("Backup: x@y.example", "Backup", {("x", "y.example")}),
        ('"a:b"@example.org: x@y.example', '"a:b"@example.org', {("x", "y.example")}),
        ("postmaster: x@y.example", "postmaster", {("x", "y.example")}),
    ],
)
def test_a_line_gives_an_account_its_senders(
    line: str, account: str, senders: set[tuple[str, str]]
) -> None:
    assert parse_senders(f"# senders\n\n{line}\n", "senders") == {account: senders}


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("alice", "senders:1", "not a line of senders"),
        ("a@b.example:", "senders:1", "not a line of senders"),
        ("\na@b.example: office", "senders:2", "not a line of senders"),
        ("a@b.example: x@y.example z@y.example", "senders:1", "not a line of senders"),
        (": x@y.example", "senders:1", "not a line of senders"),
        ("a@b.example: x@-.example", "senders:1", "x@-.example"),
        ("a@b.example: @-.example", "senders:1", "-"),
        ("a@b.example: x@y.example\nA@B.example: z@y.example", "senders:2", "stands twice"),
    ],
)
def test_a_wrong_line_is_named_with_a_remedy(text: str, where: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_senders(text, "senders")

    assert caught.value.where == where
    assert problem in caught.value.problem
    assert caught.value.remedy


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        senders = parse_senders(text, "senders")
    except ConfigError:
        return

    assert all(senders.values())
    assert all(account_key(account) == account for account in senders)
