"""Internationalised domains."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.errors import AddressError
from notqmail.mail.idn import canonical_domain, display_domain
from tests.support.vectors import lines


@pytest.mark.parametrize(
    "spelling",
    [
        "bücher.example",
        "BÜCHER.Example",
        "bu\u0308cher.example",
        "bücher。example",
        "ｂücher.example",
        "xn--bcher-kva.example",
        "XN--BCHER-KVA.EXAMPLE",
    ],
)
def test_all_spellings_of_a_domain_are_one(spelling: str) -> None:
    assert canonical_domain(spelling) == "xn--bcher-kva.example"


def test_an_ascii_domain_is_only_lowered() -> None:
    assert canonical_domain("MX-1.Example.ORG") == "mx-1.example.org"
    assert canonical_domain("localhost") == "localhost"


@pytest.mark.parametrize(
    "domain",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "a_b",
        "a b",
        "a\n",
        "a\0b",
        "*.a",
        "a" * 64,
        "xn--",
        "xn--0",
        "xn--a-",
        "xn--bcher-kva-.example",
        "a.xn--999999999",
        "ü.",
        "ü_a",
        "-ü",
        "ü" * 64,
        "\u2024",
        "\u200d",
        "\u0308a",
        "\udcff",
        "☕.example",
    ],
)
def test_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(AddressError):
        canonical_domain(domain)


def test_a_domain_has_at_most_255_octets() -> None:
    labels = ["d" * 63] * 4

    assert canonical_domain(".".join(labels))
    with pytest.raises(AddressError):
        canonical_domain(".".join([*labels, "d"]))
    with pytest.raises(AddressError):
        canonical_domain(".".join(["ü" * 30] * 8))
    with pytest.raises(AddressError, match="too long"):
        canonical_domain("ü" * 100_000)


def test_an_a_label_that_idna_does_not_know_is_left_alone() -> None:
    assert canonical_domain("XN--53H.example") == "xn--53h.example"  # a hot beverage
    assert display_domain("xn--53h.example") == "xn--53h.example"


def test_people_read_u_labels() -> None:
    assert display_domain("xn--bcher-kva.example") == "bücher.example"
    assert display_domain("example.org") == "example.org"


@given(st.text(max_size=30))
def test_a_canonical_domain_is_its_own_canonical_form(text: str) -> None:
    try:
        domain = canonical_domain(text)
    except AddressError:
        return
    assert domain.isascii()
    assert canonical_domain(domain) == domain
    assert canonical_domain(display_domain(domain)) == domain


class Case(NamedTuple):
    source: str
    ascii: str
    errors: str


def unicode_cases() -> Iterator[Case]:
    """IdnaTestV2 of Unicode 15: source, toAsciiN, and the errors of that."""
    escape = re.compile(r"\\u([0-9A-F]{4})|\\x\{([0-9A-F]+)\}")
    for line in lines("psl/tools/internal/domain/testdata/idna_test_vectors.txt"):
        columns = [
            escape.sub(lambda m: chr(int(m[1] or m[2], 16)), column.strip())
            for column in line.partition("#")[0].split(";")
        ]
        source, unicode, unicode_errors, to_ascii, ascii_errors = columns[:5]
        yield Case(source, to_ascii or unicode or source, ascii_errors or unicode_errors or "[]")


def stricter(case: Case) -> bool:
    """What UTS #46 allows and we refuse: the root's dot, and characters outside IDNA 2008."""
    if case.ascii.endswith(".") or case.ascii == "":
        return True
    try:
        idna.encode(case.source, uts46=True)
    except idna.InvalidCodepoint:
        return True
    return False


def laxer(case: Case) -> bool:
    """What UTS #46 refuses and we take."""
    labels = case.source.lower().split(".")
    errors = set(case.errors.strip("[]").replace(",", " ").split())
    return (
        # an A-label of what IDNA 2008 does not know
        (case.source.isascii() and any(map(unknown, labels)))
        # Bidi is checked in each label, not between labels: that is about display (RFC 5893 §2)
        or errors <= {"B1", "B2", "B3", "B4", "B5", "B6"}
        # 254 and 255 octets: RFC 5321 §4.5.3.1.2 allows them, DNS will not
        or errors == {"A4_1"}
        # "--" at the third place of an ASCII label is an LDH label (RFC 5321 §4.1.2)
        or errors == {"V2"}
        # not assigned in Unicode 15, but since
        or errors == {"P1", "V6"}
    )


def unknown(label: str) -> bool:
    try:
        idna.ulabel(label)
    except idna.InvalidCodepoint:
        return True
    except idna.IDNAError:
        return False
    return False


def test_the_unicode_consortiums_cases() -> None:
    seen, unexplained = 0, []
    for case in unicode_cases():
        seen += 1
        try:
            domain = canonical_domain(case.source)
        except AddressError:
            explained = case.errors != "[]" or stricter(case)
        else:
            explained = domain == case.ascii if case.errors == "[]" else laxer(case)
        if not explained:
            unexplained.append(case)

    assert seen > 6000
    assert not unexplained
