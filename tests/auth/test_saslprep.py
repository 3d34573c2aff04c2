import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.auth.saslprep import MAX_PREPARED, prepare


@pytest.mark.parametrize(
    ("password", "prepared"),
    [  # RFC 4013 §3
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("u\u0308", "ü"),
        ("\u05d0\u05d1", "\u05d0\u05d1"),
    ],
)
def test_password_is_prepared_as_clients_prepare_it(password: str, prepared: str) -> None:
    assert prepare(password) == prepared


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("\u00ad", "is empty"),
        ("a\x07", "cannot be typed"),
        ("a\0", "cannot be typed"),
        ("\ud800", "cannot be typed"),
        ("\u0627\u0031", "mixes writing directions"),
        ("\u0627a\u0627", "mixes writing directions"),
        ("x" * (MAX_PREPARED + 1), "is longer than 1024 octets"),
        ("é" * 513, "is longer than 1024 octets"),
    ],
)
def test_what_is_prohibited_is_refused_with_a_sentence(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^the name .*{problem}"):
        prepare(text, "the name")


@given(st.text(max_size=20))
def test_preparing_twice_changes_nothing(password: str) -> None:
    try:
        once = prepare(password)
    except ValueError:
        return

    assert prepare(once) == once
