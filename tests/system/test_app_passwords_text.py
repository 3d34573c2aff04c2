import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.address import Address
from notqmail.mail.errors import ConfigError
from notqmail.mail.login import Attempt
from notqmail.mail.network import parse_network
from notqmail.system import scram_text
from notqmail.system.app_passwords_text import (
    AppPassword,
    hash_of,
    is_label,
    parse_app_passwords,
)

ALICE = Address("alice", "example.org")
SCRAM = scram_text.make("secret", b"salt", 4096)
HASH = hash_of("secret", b"salt")
PLAIN = AppPassword(ALICE, "phone", HASH, SCRAM)
RESTRICTED = AppPassword(
    ALICE,
    "scanner",
    HASH,
    SCRAM,
    Address("scan it", "example.org"),
    (parse_network("192.0.2.0/24"), parse_network("2001:db8::/32")),
    "submission",
)


def read(text: str) -> list[AppPassword]:
    return [each for of_one in parse_app_passwords(text, "file").values() for each in of_one]


@pytest.mark.parametrize("each", [PLAIN, RESTRICTED], ids=lambda each: each.label)
def test_what_is_written_is_read(each: AppPassword) -> None:
    assert read(str(each)) == [each]


def test_passwords_stand_with_their_mailbox() -> None:
    text = f"# those of alice\n{PLAIN}\n{RESTRICTED} # the one in the hall\nÄ@example.org {str(PLAIN).split(' ', 1)[1]}\n"

    found = parse_app_passwords(text, "file")

    assert found["alice", "example.org"] == (PLAIN, RESTRICTED)
    assert [each.label for each in found["ä", "example.org"]] == ["phone"]


TAIL = str(PLAIN).partition("phone ")[2]
HASHED = TAIL.split()[0]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("alice@example.org", "not an app password"),
        ("alice@example.org phone", "not an app password"),
        (f"alice@example.org phone {HASHED}", "not an app password"),
        (f"alice@example.org phone SHA256$AAAA {SCRAM}", "not an app password"),
        (f"alice@example.org phone SHA256$\u00e4 {SCRAM}", "not an app password"),
        (f"alice@example.org phone SHA256$A {SCRAM}", "not an app password"),
        (
            f"alice@example.org phone {HASHED} SCRAM-SHA-256$4096:AAAA$AAAA:AAAA",
            "not an app password",
        ),
        (f"alice@example.org a/b {TAIL}", "not an app password"),
        (f"alice@example.org phone {TAIL} for=imap", "not an app password"),
        (f"alice@example.org phone {TAIL} networks=10.0.0.0/8,", "''"),
        (f"alice@example.org phone {TAIL} networks=10.0.0.1/8", "host bits"),
        (f"alice@example.org phone {TAIL} from=x@-", "domain"),
        (f"alice phone {TAIL}", "no domain"),
        (f"{PLAIN}\nALICE@example.org phone {TAIL}", "phone twice"),
    ],
)
def test_what_is_wrong_is_told_without_secrets(line: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as error:
        read(line)

    assert error.value.where.startswith("file:")
    assert error.value.remedy
    assert base64.b64encode(HASH).decode() not in str(error.value)


@pytest.mark.parametrize(
    ("attempt", "permitted"),
    [
        (Attempt("192.0.2.7"), True),
        (Attempt("192.0.2.7", kind="submissions"), True),
        (Attempt("192.0.2.7", kind="imap"), False),
        (Attempt("::ffff:192.0.2.7"), True),
        (Attempt("2001:db8::1"), True),
        (Attempt("192.0.3.7"), False),
        (Attempt("::1"), False),
        (Attempt("unix"), False),
    ],
)
def test_restrictions_hold(attempt: Attempt, permitted: bool) -> None:
    assert RESTRICTED.permits(attempt) is permitted
    assert PLAIN.permits(attempt)


def test_id_is_another_for_another_password_and_tells_none() -> None:
    other = AppPassword(ALICE, "phone", hash_of("other", b"salt"), SCRAM)

    assert PLAIN.id != other.id
    assert PLAIN.id not in HASH.hex()


def test_secrets_are_not_shown() -> None:
    assert repr(HASH) not in repr(PLAIN)
    assert "key" not in repr(PLAIN)


@pytest.mark.parametrize(
    ("text", "label"),
    [("phone", True), ("Ämter-1", True), ("", False), ("a b", False), ("x" * 65, False)],
)
def test_label_is_one_word(text: str, label: bool) -> None:
    assert is_label(text) is label


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ConfigError):
        read(text)
