import string

import pytest

from notqmail.auth.saslprep import prepare
from notqmail.config import Argon2, Size
from notqmail.system import scram_text
from notqmail.system.accounts_text import parse_users
from notqmail.system.passwords import (
    MAX_PASSWORD,
    decoy,
    generate,
    generated,
    make_secrets,
    stale,
    verify,
)


def test_password_fits_its_own_hash_only() -> None:
    argon2 = make_secrets("correct horse").argon2

    assert argon2.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify("correct horse", argon2)
    assert not verify("correct house", argon2)


def test_same_password_never_gives_the_same_secrets() -> None:
    one, other = make_secrets("x"), make_secrets("x")

    assert one.argon2 != other.argon2
    assert one.scram != other.scram


@pytest.mark.parametrize("argon2", ["", "-", "x", "$argon2id$v=19$broken", "$1$md5$hash"])
def test_hash_that_is_none_fits_no_password(argon2: str) -> None:
    assert not verify("x", argon2)


def test_secrets_are_what_the_users_file_takes() -> None:
    made = make_secrets("x")

    (account,) = parse_users(f"a@x.org {made.argon2} {made.scram}", "users").values()

    assert (account.argon2, account.scram) == (made.argon2, made.scram)


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", "empty"),
        ("\u00ad", "empty"),
        ("a\x07", "cannot be typed"),
        ("a\r\nb", "cannot be typed"),
        ("\ud800", "cannot be typed"),
        ("\u0627\u0031", "directions"),
        ("\u0627a\u0627", "directions"),
        ("x" * (MAX_PASSWORD + 1), "longer than 1024"),
        ("é" * 513, "longer"),
    ],
)
def test_what_cannot_be_a_password_is_refused_with_a_sentence(password: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make_secrets(password)
    assert not verify(password, "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g")


def test_generated_password_is_readable_and_has_100_bits() -> None:
    made = {generate() for _ in range(50)}

    assert len(made) == 50
    letters = set("".join(made)) - {"-"}
    assert letters <= set(string.ascii_lowercase + string.digits) - set("lo01")
    assert all([len(group) for group in word.split("-")] == [5] * 4 for word in made)
    assert all(prepare(word) == word for word in made)
    assert all(map(generated, made))


@pytest.mark.parametrize(
    "password",
    ["", "abcde", "abcde-abcde-abcde", "ABCDE-abcde-abcde-abcde", "abcde-abcde-abcde-abcd0"],
)
def test_what_people_choose_is_not_taken_for_generated(password: str) -> None:
    assert not generated(password)


CHEAP = Argon2(memory=Size(64 << 10), passes=1, lanes=2)


def test_cost_is_that_of_the_configuration() -> None:
    made = make_secrets("x", CHEAP).argon2

    assert made.startswith("$argon2id$v=19$m=64,t=1,p=2$")
    assert verify("x", made)
    assert not stale(made, CHEAP)
    assert stale(made, Argon2())
    assert stale("x", CHEAP)


def test_decoy_is_a_hash_that_costs_as_much_and_fits_nothing() -> None:
    real, made_up = make_secrets("x", CHEAP).argon2, decoy(CHEAP)

    assert [len(each) for each in made_up.split("$")] == [len(each) for each in real.split("$")]
    assert made_up.split("$")[:4] == real.split("$")[:4]
    assert not verify("x", made_up)
    assert decoy(CHEAP) != made_up


def test_salt_of_another_password_is_kept_when_asked() -> None:
    first = scram_text.read(make_secrets("x", CHEAP).scram)

    second = scram_text.read(make_secrets("y", CHEAP, like=first).scram)

    assert first is not None
    assert second is not None
    assert (second.salt, second.iterations) == (first.salt, first.iterations)
    assert second.stored_key != first.stored_key


def test_secrets_are_not_shown() -> None:
    assert repr(make_secrets("x", CHEAP)) == "Secrets()"
