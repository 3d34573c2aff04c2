"""Every kept input through every target, without atheris: what was once reached or broken stays tried."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from sys import getprofile, setprofile
from types import FrameType
from typing import Any

import pytest

from tests.fuzz.target import CORPUS, DICTIONARIES, REGRESSIONS, Target
from tests.fuzz.targets import TARGETS

MAX_CORPUS = 2_000_000  # octets

# Every module that reads octets from outside. One that is added here must have a target.
PARSERS = frozenset(
    {
        "auth.login_name",
        "auth.sasl_client",
        "auth.sasl_plain",
        "auth.saslprep",
        "auth.scram",
        "cli.sendmail",
        "cli.submission",
        "config.load",
        "config.quantity",
        "delivery.features",
        "journal",
        "mail.address",
        "mail.address_list",
        "mail.completion",
        "mail.date",
        "mail.downgrade",
        "mail.dsn",
        "mail.dsn_words",
        "mail.entity",
        "mail.header",
        "mail.hop",
        "mail.idn",
        "mail.mime",
        "mail.received",
        "mail.reply",
        "mail.traits",
        "policy.header_text",
        "policy.loops",
        "smtp.chunking",
        "smtp.command",
        "smtp.content",
        "smtp.dots",
        "smtp.extension",
        "smtp.faults",
        "smtp.framing",
        "smtp.parameters",
        "smtp.path",
        "smtp.proxy",
        "smtp.reply",
        "smtp.xclient",
        "smtp.xtext",
        "smtpd.dialogue",
        "smtpd.receiver",
        "system.accounts_text",
        "system.app_passwords_text",
        "system.control",
        "system.dns",
        "system.drop",
        "system.inject",
        "system.scram_text",
        "system.submission",
    }
)


def each_target() -> Callable[[Any], Any]:
    return pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@each_target()
def test_every_kept_input_holds_what_the_target_claims(target: Target) -> None:
    for file in target.kept():
        try:
            target.run(file.read_bytes())
        except Exception as error:
            error.add_note(f"again: scripts/fuzz --target {target.name} --replay {file}")
            raise


@each_target()
@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 64, b"\r\n" * 40], ids=repr)
def test_what_is_no_input_at_all_is_one_too(target: Target, data: bytes) -> None:
    target.run(data)


@each_target()
def test_a_target_has_a_corpus_and_a_dictionary(target: Target) -> None:
    assert any(target.corpus.iterdir())
    words = [line for line in target.dictionary.read_text().split("\n") if line.startswith('"')]
    assert words
    assert all(word.endswith('"') and len(word) > 2 for word in words)


@each_target()
def test_the_corpus_of_a_target_reaches_every_module_it_claims(target: Target) -> None:
    with modules_called() as called:
        for file in target.kept():
            target.run(file.read_bytes())

    assert {f"notqmail.{module}" for module in target.covers} <= called


def test_every_parser_has_a_target() -> None:
    assert {module for target in TARGETS.values() for module in target.covers} >= PARSERS


def test_no_corpus_is_without_its_target() -> None:
    kept = [d for place in (CORPUS, REGRESSIONS) if place.is_dir() for d in place.iterdir()]

    assert {directory.name for directory in kept} <= TARGETS.keys()
    assert {file.stem for file in DICTIONARIES.iterdir()} == {t.grammar for t in TARGETS.values()}


def test_the_corpora_stay_small() -> None:
    assert sum(map(size, TARGETS.values())) < MAX_CORPUS


def size(target: Target) -> int:
    return sum(file.stat().st_size for file in target.kept())


@contextmanager
def modules_called() -> Iterator[set[str]]:
    """Note the modules whose functions are called, by name."""
    called: set[str] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        called.add(frame.f_globals.get("__name__", ""))

    before = getprofile()
    setprofile(note)
    try:
        yield called
    finally:
        setprofile(before)
