import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.address import Address
from notqmail.mail.errors import ConfigError
from notqmail.system.accounts_text import Account, alias_key, parse_aliases, parse_users

ARGON2 = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"
SCRAM = "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy"


def address(text: str) -> Address:
    return Address.parse(text)


@pytest.mark.parametrize(
    ("line", "argon2", "scram"),
    [
        ("alice@example.org", "", ""),
        (f"alice@example.org {ARGON2}", ARGON2, ""),
        (f"alice@example.org\t{ARGON2}   {SCRAM}", ARGON2, SCRAM),
        (f"  alice@example.org - {SCRAM}  ", "", SCRAM),
        ("alice@example.org - -", "", ""),
        ("alice@example.org  # no login", "", ""),
        (f"alice@example.org {ARGON2} # no SCRAM", ARGON2, ""),
        ("alice@example.org\r", "", ""),
    ],
)
def test_user_line_is_an_address_and_its_secrets(line: str, argon2: str, scram: str) -> None:
    users = parse_users(f"# users\n\n{line}\n", "users")

    alice = address("alice@example.org")
    assert users == {("alice", "example.org"): Account(alice, argon2, scram)}


def test_users_are_found_folded_and_by_a_label() -> None:
    users = parse_users('Alice@BÜCHER.example\n"John Doe"@example.org\na#b@example.org', "users")

    assert set(users) == {
        ("alice", "xn--bcher-kva.example"),
        ("john doe", "example.org"),
        ("a#b", "example.org"),
    }


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("alice", 1, "no domain"),
        ("\n# x\nalice@", 3, "not a user"),
        ("alice@example.org\nALICE@example.org", 2, "stands twice"),
        ("alice@-x.org", 1, "not a domain"),
        ("@example.org", 1, "not a user"),
        ("alice@example.org secret", 1, "secrets of alice@example.org are not understood"),
        (f"alice@example.org {SCRAM} {ARGON2}", 1, "not understood"),
        (f"alice@example.org {ARGON2} {SCRAM} more", 1, "not a user"),
        ("a b@example.org", 1, "not understood|no domain"),
    ],
)
def test_wrong_users_file_is_told_with_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        parse_users(text, "/etc/users")

    assert caught.value.where == f"/etc/users:{line}"
    assert caught.value.remedy


def test_secret_is_not_told() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_users("alice@example.org hunter2", "users")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "key", "targets"),
    [
        ("sales@example.org: a@x.org", ("sales", "example.org"), ["a@x.org"]),
        ("Sales@EXAMPLE.org :a@x.org,b@y.org", ("sales", "example.org"), ["a@x.org", "b@y.org"]),
        ("s@example.org: a@x.org , b@y.org, # both", ("s", "example.org"), ["a@x.org", "b@y.org"]),
        ("@example.org: a@x.org", ("", "example.org"), ["a@x.org"]),
        ("@BÜCHER.example: a@x.org", ("", "xn--bcher-kva.example"), ["a@x.org"]),
        ('"a:b"@x.org: "c,d"@x.org', ("a:b", "x.org"), ['"c,d"@x.org']),
        ("s@x.org: a@[192.0.2.1], a@[IPv6:::1]", ("s", "x.org"), ["a@[192.0.2.1]", "a@[IPv6:::1]"]),
    ],
)
def test_alias_line_is_a_name_and_its_targets(
    line: str, key: tuple[str, str], targets: list[str]
) -> None:
    assert parse_aliases(line, "aliases") == {key: tuple(map(address, targets))}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("sales@example.org", 1, "not an alias"),
        ("sales@example.org:", 1, "not an alias"),
        ("sales@example.org: # later", 1, "not an alias"),
        ("sales: a@x.org", 1, "'sales': "),
        ("postmaster: a@x.org", 1, "no domain"),
        ("sales@example.org: bob", 1, "'bob': "),
        ("sales@example.org: a@x.org b@x.org", 1, "not an alias"),
        ("s@x.org: a@x.org\nS@X.org: b@x.org", 2, "stands twice"),
        ("@x.org: a@x.org\n@X.org: b@x.org", 2, "stands twice"),
        ("@-x.org: a@x.org", 1, "not a domain"),
        ("sales@example.org: |program", 1, "'|program': "),
    ],
)
def test_wrong_aliases_file_is_told_with_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem.replace("|p", r"\|p")) as caught:
        parse_aliases(text, "/etc/aliases")

    assert caught.value.where == f"/etc/aliases:{line}"
    assert caught.value.remedy


def test_name_of_a_catch_all_has_no_local_part() -> None:
    assert alias_key("@Example.org", "alias") == ("", "example.org")


@given(st.text(alphabet=st.sampled_from('a@:,"\\#[] .-$\n\té'), max_size=40))
def test_any_text_is_read_or_refused_with_its_line(text: str) -> None:
    for parse in (parse_users, parse_aliases):
        where = ""
        try:
            parse(text, "file")
        except ConfigError as error:
            where = error.where
        assert where == "" or where.startswith("file:")
