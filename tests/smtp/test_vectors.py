"""What other projects test their SMTP grammar with. Where they and we differ, the difference is listed with its reason."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator

import pytest

from notqmail.mail.reply import Reply
from notqmail.smtp.chunking import ChunkChecker
from notqmail.smtp.command import Bdat, Data, Mail, Rcpt, parse_command
from notqmail.smtp.dots import DataDecoder
from notqmail.smtp.framing import Line, LineReader
from notqmail.smtp.xtext import decode_xtext
from tests.support.vectors import lines, load, path

UTF8 = frozenset({"SMTPUTF8"})


def accepted(address: str) -> bool:
    """Say whether RCPT takes the address."""
    result = parse_command(f"RCPT TO:<{address}>".encode("utf-8", "surrogatepass"), frozenset())
    assert isinstance(result, Rcpt | Reply)
    return isinstance(result, Rcpt)


def differences(cases: Iterable[tuple[str, bool]]) -> set[str]:
    """Give the addresses that we judge otherwise."""
    judged = list(cases)
    assert judged
    return {address for address, valid in judged if accepted(address) is not valid}


# addresses


def test_addresses_of_isemail() -> None:
    fine = {"ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321"}

    def cases() -> Iterator[tuple[str, bool]]:
        for test in ET.parse(path("address-isemail/test/tests.xml")).getroot().iter("test"):
            written = test.findtext("address") or ""
            # the file writes controls as the symbols for them, U+2400 and up
            address = re.sub("[\u2400-\u241f]", lambda m: chr(ord(m[0]) - 0x2400), written)
            yield address, test.findtext("category") in fine

    assert differences(cases()) == {
        # "::" for one group: out of the letter of RFC 5321 §4.1.3, in RFC 4291 and in use
        "test@[IPv6:1111:2222:3333:4444:5555:6666::8888]",
    }


def test_addresses_of_flanker() -> None:
    root = "address-flanker/tests/fixtures"

    assert (
        differences((line, False) for line in lines(f"{root}/mailbox_invalid.txt"))
        == {
            "test@xn--example.com",  # an A-label of characters that IDNA 2008 does not know: for DNS to say
        }
    )
    assert differences((line, True) for line in lines(f"{root}/mailbox_valid.txt")) == {
        "bob@under_scope",  # RFC 5321 §4.1.2: no underscore in a Domain
        # a header's mailbox (RFC 5322 §3.4), not a path: display names and comments
        'Bill Gates <"billy"@retired.Micr!osoft99.com>',
        "Steve Jobs <steve@apple.com>",
        'Matt "The Matt" Mickiewicz <matt.Mickiewicz@99designs.com>',
        '"<john@smith.com>" <john@smith.com>',
        "(this is a comment) test@example.com",
        "(this is a comment)test@example.com",
        "test@example.com(this is a comment)",
        "test@example.com (this is a comment)",
    }


def test_local_parts_of_flanker() -> None:
    root = "address-flanker/tests/fixtures"

    for name, valid in (("abridged_localpart_valid", True), ("abridged_localpart_invalid", False)):
        local_parts = lines(f"{root}/{name}.txt")
        assert not differences((f"{local}@example.org", valid) for local in local_parts)


def test_addresses_of_python_email_validator() -> None:
    cases = [(case["input"], "_valid" in case["test"]) for case in load("python-email-validator")]
    too_long = {address for address, _ in cases if len(address) > 150}

    assert differences(case for case in cases if case[0] not in too_long) == {
        # display names: a header's mailbox, not a path
        "MyName <me@example.org>",
        "My Name <me@example.org>",
        r'"My.\"Na\\me\".Is" <"me \" \\ me"@example.org>',
        '"s\u0323\u0307" <s\u0323\u0307@nfc.tld>',
        # rules about which names exist, not about syntax
        "my@localhost",
        "me@bad-tld-1",
        "me@bad.tld-2",
        "me@yy--0.tld",
        "me@anything.arpa",
        "me@valid.invalid",
        "me@link.local",
        "me@host.localhost",
        "me@onion.onion.onion",
        "me@test.test.test",
        # literals are off there by default
        "me@[127.0.0.1]",
        "me@[IPv6:::1]",
        # a local part is not normalised (RFC 6531 §3.2), so U+037E does not become a semicolon
        "me.\u037e@example.com",
        # whether MAIL said SMTPUTF8 is for the session to know
        "λambdaツ@test",
        '"quoted.with..unicode.λ"@example.com',
    }
    # 254 octets counted by them after normalisation, by us as they stand; all others agree
    assert len(differences(case for case in cases if case[0] in too_long)) <= 1


def test_addresses_of_egulias() -> None:
    cases = [(case["input"], case["valid"]) for case in load("egulias-rfc5322-addresses")]

    assert differences(cases) == {
        # RFC 5322 with its comments, white space and obsolete forms: not in a path
        "fab\\ ien@symfony.com",
        "example((example))@fakedfake.co.uk",
        "example @invalid.example.com",
        "example(examplecomment)@invalid.example.com",
        '"\t"@invalid.example.com',
        '"\r"@invalid.example.com',
        # more than 64 octets of local part (RFC 5321 §4.5.3.1.1): a warning there
        "a5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.com",
        "too_long_localpart_too_long_localpart_too_long_localpart_too_long_localpart@invalid.example.com",
        # RFC 6531 §3.3: any character beyond ASCII is atext
        "examp║le@symfony.com",
    }


def test_paths_of_haraka() -> None:
    differing = set()
    for case in load("haraka-address"):
        mail = parse_command(f"MAIL FROM:{case['input']} SMTPUTF8".encode(), UTF8)
        if isinstance(mail, Mail) is not case["valid"]:
            differing.add(case["input"])
        elif isinstance(mail, Mail):
            sender = mail.sender
            assert (sender.quoted_local() if sender else "") == case["user"]
            assert (sender.domain if sender else "") == case["host"]

    assert differing == {
        "<postmaster>",  # a recipient only (RFC 5321 §4.1.1.3)
        "foo@example.com",  # no brackets
        "foo@foo.x.example.com",
    }


def test_local_parts_addresses_and_paths_of_mox() -> None:
    for case in load("mox-smtp-parse"):
        text, call = case["input"], case["call"]
        if case["file"] == "smtp/address_test.go":
            address = (
                text if "@" in text or "missing @domain" in case["rest"] else f"{text}@b.example"
            )
            assert accepted(address) is (call == "good"), text
        elif "xpath" in case["rest"]:
            rcpt = parse_command(f"RCPT TO:{text}".encode(), frozenset())
            assert isinstance(rcpt, Rcpt)
            assert str(rcpt.address) == "userc@d.bar.org"
        elif text == "":
            assert decode_xtext(text) == ""
        else:
            # a plus sign stands for itself nowhere, and neither does "="
            assert decode_xtext(text) == "e=mc2@example.com"


def test_strings_of_dovecot() -> None:
    for case in load("dovecot-smtp-syntax"):
        text = case["input"]
        # the empty string is no local part, and the longest is over 64 octets: taken in two
        halves = [text[:60], text[60:]] if len(text) > 60 else [text]
        valid = case["valid"] and text != ""
        assert all(accepted(f"{half}@example.org") is valid for half in halves), text


# command lines and parameters


def test_command_lines_of_dovecot() -> None:
    differing = set()
    for case in load("dovecot-smtp-command"):
        # the extraction read UTF-8 as Latin-1
        stream = case["input"].encode("latin-1")
        reader = LineReader(512)
        reader.feed(stream)
        event = reader.next()
        result = parse_command(event.octets, UTF8) if isinstance(event, Line) else None
        good = isinstance(event, Line) and not (isinstance(result, Reply) and result.code != 553)
        if good is not case["valid"]:
            differing.add(case["input"])

    assert differing == {
        # DSN is not offered in this test
        "MAIL FROM:<sender@example.com> ENVID=frop\r\n",
        "RCPT TO:<recipient@example.com> NOTIFY=NEVER\r\n",
        # a name that is not valid, for policy to judge
        "EHLO  example.com\r\n",
    }


CAPABILITIES = re.compile(r"SMTP_CAPABILITY_(\w+)")


def test_parameters_of_dovecot() -> None:
    differing = set()
    for case in load("dovecot-smtp-params"):
        offered = frozenset(CAPABILITIES.findall(case["expect"]))
        command = "MAIL FROM" if "mail" in case["table"] else "RCPT TO"
        line = f"{command}:<a@b> {case['input']}".rstrip()
        if isinstance(parse_command(line.encode(), offered), Reply) is case["valid"]:
            differing.add(case["input"])

    assert differing == {
        "AUTH=user+2Bdetail",  # no mailbox (RFC 4954 §5)
        "ENVID=",  # esmtp-value is not empty (RFC 5321 §4.1.2)
        # extensions of their test: unknown to us
        "BODY=FROP",
        "FROP=friep",
        "FROP=friep FRUP=frml",
        # RFC 3461 §4.2 does not ask what an ORCPT of the type rfc822 holds
        "ORCPT=rfc822;<>",
    }


# robustness


def fuzz_streams() -> Iterator[bytes]:
    """Every seed, and every seed with every word of the dictionaries put in at its line starts."""
    root = path("smtp-fuzz-profuzzbench/subjects/SMTP/Exim")
    seeds = [file.read_bytes() for file in sorted(root.glob("in-smtp*/*"))]
    words = [
        match[1].encode().decode("unicode_escape").encode("latin-1")
        for file in (
            root / "smtp.dict",
            path("smtp-fuzz-dovecot/src/lib-smtp/fuzz-smtp-server.dict"),
        )
        for match in re.finditer(r'"(.*)"', file.read_text())
    ]
    assert seeds
    assert words
    yield from seeds
    for seed in seeds:
        for word in words:
            for at in (0, *(match.end() for match in re.finditer(rb"\r\n", seed))):
                yield seed[:at] + word + seed[at:]


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_fuzz_seeds_are_read_to_their_end_without_an_exception(size: int) -> None:
    for stream in fuzz_streams():
        dialogue(stream, size)


def dialogue(stream: bytes, size: int) -> None:
    """Read a stream as a session would, which answers every command with yes."""
    reader = LineReader(512)
    for at in range(0, len(stream), size):
        reader.feed(stream[at : at + size])
        while (event := reader.next()) is not None:
            command = parse_command(event.octets, UTF8) if isinstance(event, Line) else None
            match command:
                case Data():
                    decoder = DataDecoder(1000)
                    decoder.feed(reader.take_rest())
                    reader.feed(decoder.rest)
                case Bdat(octets):
                    checker = ChunkChecker(1000)
                    rest = reader.take_rest()
                    checker.feed(rest[:octets])
                    checker.finish()
                    reader.feed(rest[octets:])
