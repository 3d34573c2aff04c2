"""Parameters of MAIL and RCPT."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.envelope import Body, Notify, Ret
from notqmail.mail.errors import AddressError
from notqmail.smtp import parameters
from notqmail.smtp.parameters import parse_parameters, require_offered
from notqmail.smtp.refused import RefusedError


def test_keywords_are_folded_and_values_keep_their_case() -> None:
    assert parse_parameters(" size=12 EnvId=AbC SMTPUTF8") == {
        "SIZE": "12",
        "ENVID": "AbC",
        "SMTPUTF8": None,
    }


def test_a_keyword_may_have_a_hyphen() -> None:
    assert parse_parameters(" MT-PRIORITY=3") == {"MT-PRIORITY": "3"}


def test_no_text_is_no_parameters() -> None:
    assert parse_parameters("") == {}


def test_a_value_may_be_utf8() -> None:
    assert parse_parameters(" ORCPT=utf-8;ж@b") == {"ORCPT": "utf-8;ж@b"}


@pytest.mark.parametrize(
    "text",
    [
        "SIZE=1",
        "  SIZE=1",
        " SIZE=1  BODY=7BIT",
        " SIZE=",
        " =1",
        " -A=1",
        " SIZE=1=2",
        " SIZE =1",
        " SIZE= 1",
        " A_B=1",
        " A=\x01",
        " A=\x85",
        " ſize=1",
        ">",
        "\tSIZE=1",
    ],
)
def test_what_is_not_a_list_of_parameters_is_refused(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        parse_parameters(text)
    assert caught.value.reply.code == 501
    assert caught.value.reply.enhanced == "5.5.4"


def test_a_parameter_that_stands_twice_is_refused() -> None:
    with pytest.raises(RefusedError, match="SIZE stands twice"):
        parse_parameters(" SIZE=1 size=1")


def test_a_long_keyword_is_not_repeated_whole_in_the_reply() -> None:
    with pytest.raises(RefusedError) as caught:
        require_offered(parse_parameters(f" {'X' * 900}"), {}, frozenset())
    assert len(caught.value.reply.text) < 100


def test_a_parameter_of_an_extension_not_offered_is_refused_with_555() -> None:
    with pytest.raises(RefusedError) as caught:
        require_offered({"SIZE": "1"}, {"SIZE": "SIZE"}, frozenset({"DSN"}))
    assert caught.value.reply.code == 555
    assert caught.value.reply.enhanced == "5.5.4"


def test_an_unknown_parameter_is_refused_with_555() -> None:
    with pytest.raises(RefusedError) as caught:
        require_offered({"FROP": "1"}, {"SIZE": "SIZE"}, frozenset({"SIZE"}))
    assert caught.value.reply.code == 555


def test_offered_parameters_pass() -> None:
    require_offered(
        {"SIZE": "1", "RET": "FULL"}, {"SIZE": "SIZE", "RET": "DSN"}, frozenset({"SIZE", "DSN"})
    )


def test_a_flag_is_true_when_it_stands_alone() -> None:
    assert parameters.flag({"REQUIRETLS": None}, "REQUIRETLS")
    assert not parameters.flag({}, "REQUIRETLS")


def test_a_flag_with_a_value_is_refused() -> None:
    with pytest.raises(RefusedError, match="takes no value"):
        parameters.flag({"SMTPUTF8": "YES"}, "SMTPUTF8")


def test_a_value_is_read_and_an_absent_one_is_none() -> None:
    assert parameters.value({"SIZE": "7"}, "SIZE", parameters.size, "1") == 7
    assert parameters.value({}, "SIZE", parameters.size, "1") is None


READERS: list[Callable[[str], object]] = [
    parameters.size,
    parameters.body,
    parameters.ret,
    parameters.envid,
    parameters.auth,
    parameters.notify,
    parameters.orcpt,
]


@pytest.mark.parametrize("read", READERS)
def test_a_keyword_without_the_value_it_needs_is_refused_with_the_form(
    read: Callable[[str], object],
) -> None:
    with pytest.raises(RefusedError, match="use X=form"):
        parameters.value({"X": None}, "X", read, "form")


@given(st.sampled_from(READERS), st.text(max_size=40))
def test_no_value_raises_anything_undocumented(read: Callable[[str], object], text: str) -> None:
    with contextlib.suppress(RefusedError):
        parameters.value({"X": text}, "X", read, "form")


@pytest.mark.parametrize("text", ["0", "1", "267914296", "9" * 20])
def test_size_is_one_to_twenty_digits(text: str) -> None:
    assert parameters.size(text) == int(text)


@pytest.mark.parametrize("text", ["", "²", "٣", "-1", "+1", "1.0", "1_0", "ABC", "1" * 21])
def test_what_is_not_a_number_of_octets_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parameters.size(text)


def test_words_are_read_in_any_case() -> None:
    assert parameters.body("8bitMIME") is Body.EIGHTBIT
    assert parameters.ret("hdrs") is Ret.HDRS
    assert parameters.notify("success,DELAY") == Notify.SUCCESS | Notify.DELAY


def test_notify_never_is_the_empty_set() -> None:
    assert parameters.notify("never") is Notify.NEVER


@pytest.mark.parametrize(
    "text", ["NEVER,SUCCESS", "SUCCESS,NEVER", "FROP", "SUCCESS,", ",DELAY", "SUCCESS DELAY"]
)
def test_notify_knows_no_other_words_and_never_stands_alone(text: str) -> None:
    with pytest.raises(KeyError):
        parameters.notify(text)


def test_envid_is_decoded_and_has_at_most_100_characters() -> None:
    assert parameters.envid("a+20b") == "a b"
    assert parameters.envid("a" * 100)
    with pytest.raises(ValueError, match="aaa"):
        parameters.envid("a" * 101)


def test_orcpt_is_decoded_and_has_at_most_500_characters() -> None:
    assert parameters.orcpt("rfc822;a+2Bb@c") == "rfc822;a+b@c"
    assert parameters.orcpt("rfc822;" + "a" * 493)
    with pytest.raises(ValueError, match="aaa"):
        parameters.orcpt("rfc822;" + "a" * 494)


def test_auth_is_a_mailbox_or_nobody() -> None:
    assert parameters.auth("<>") == "<>"
    assert parameters.auth("e+3Dmc2@Example.com") == "e=mc2@example.com"
    with pytest.raises(AddressError):
        parameters.auth("user")


def test_a_keyword_of_32_letters_is_shown_whole_and_a_longer_one_cut_there() -> None:
    for letters, shown in ((32, "X" * 32 + " is"), (33, "X" * 32 + "... is")):
        with pytest.raises(RefusedError) as caught:
            require_offered({"X" * letters: None}, {}, frozenset())
        assert f"parameter {shown} not supported here" in caught.value.reply.text


def test_envid_may_be_one_character() -> None:
    assert parameters.envid("x") == "x"
