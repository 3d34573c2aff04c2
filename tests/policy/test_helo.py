"""HELO names: refused is only what can be no name."""

import pytest

from notqmail.policy.helo import HeloName, HeloSyntax
from notqmail.policy.verdict import ACCEPT, Reject
from tests.support.policy import session

LONGEST = ".".join(["x" * 63] * 4)  # 255 octets


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "my_pc.lan",
        "mail.example.net.",
        "-dash-.example",
        "192.0.2.1",
        "[192.0.2.1]",
        "[IPv6:2001:db8::1]",
        "[IPv6:fe80::1%eth0]",
        "[fe80:0:0:0:0:0:0:1%3]",
        "2001:db8::1",
        "fe80::1%eth0",
        "::ffff:192.0.2.1",
        "[999.1.1.1]",
        "bücher.example",
        LONGEST,
    ],
)
def test_what_is_like_a_name_passes(name: str) -> None:
    assert HeloSyntax().on_helo(session(helo=name)) is ACCEPT


IMPOSSIBLE = [
    "",
    " ",
    "a b",
    "a..b",
    ".",
    "a\tb",
    "<script>",
    "a@b",
    "[",
    "[]",
    "a/b",
    "a:b",
    "[::1%]",
    "::1%a b",
    "1:2:3:4:5:6:7:8:9:a",
    "x" * 64,
    "a." * 200,
    f"{LONGEST}.",
]


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_can_be_no_name_is_refused(name: str) -> None:
    verdict = HeloSyntax().on_helo(session(helo=name))

    assert isinstance(verdict, Reject)
    assert str(verdict.reply) == "501 5.5.2 your HELO name is not a host name"
    assert len(str(verdict.inputs["helo"])) <= 255


def test_strict_refuses_all_outside_the_grammar() -> None:
    assert isinstance(HeloSyntax(strict=True).on_helo(session(helo="my_pc")), Reject)


def test_what_the_grammar_allows_passes_the_strict() -> None:
    assert HeloSyntax(strict=True).on_helo(session(helo="a.example", helo_valid=True)) is ACCEPT


def test_the_name_is_evidence_either_way() -> None:
    within = session(helo="my_pc")

    HeloSyntax().on_helo(within)

    assert within.evidence.get(HeloName) == HeloName("my_pc", False)
