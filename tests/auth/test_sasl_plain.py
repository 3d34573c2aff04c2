import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.auth.sasl_plain import External, Login, Plain
from notqmail.auth.sasl_step import Challenge, Decoy, Failure, Reason, Step, Success, Terms
from tests.support.clock import run
from tests.support.logins import ATTEMPT, Accounts

ALICE = "alice@example.org"


def terms(accounts: Accounts | None = None, certificate: tuple[str, ...] = ()) -> Terms:
    return Terms(
        accounts or Accounts({ALICE: {"": "secret"}}),
        ATTEMPT,
        ("PLAIN", "LOGIN", "EXTERNAL"),
        Decoy(b"decoy"),
        lambda: "nonce",
        "example.org",
        certificate=certificate,
    )


async def plain(response: bytes) -> Step:
    return await Plain(terms()).respond(response)


async def login(*responses: bytes, accounts: Accounts | None = None) -> Step:
    exchange = Login(terms(accounts))
    step = await exchange.respond(None)
    for response in responses:
        assert isinstance(step, Challenge)
        step = await exchange.respond(response)
    return step


def reason(step: Step) -> Reason | None:
    return step.reason if isinstance(step, Failure) else None


async def test_plain_takes_name_and_password_in_one_response() -> None:
    exchange = Plain(terms())

    assert await exchange.respond(None) == Challenge(b"")
    step = await exchange.respond(b"\0alice@example.org\0secret")

    assert isinstance(step, Success)
    assert (step.login.account, step.login.mechanism) == (ALICE, "PLAIN")


@pytest.mark.parametrize(
    "authzid", [b"", b"alice@example.org", b"Alice@EXAMPLE.org", b"alice"], ids=repr
)
async def test_one_may_act_as_oneself(authzid: bytes) -> None:
    assert isinstance(await plain(authzid + b"\0alice@example.org\0secret"), Success)


@pytest.mark.parametrize("authzid", [b"bob@example.org", b"a\x07"], ids=repr)
async def test_nobody_acts_as_somebody_else(authzid: bytes) -> None:
    accounts = Accounts({ALICE: {"": "secret"}})

    step = await Plain(terms(accounts)).respond(authzid + b"\0alice@example.org\0secret")

    assert step == Failure(Reason.WRONG, ALICE, "asks to act as somebody else")
    assert not accounts.asked


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"alice@example.org",
        b"\0alice@example.org",
        b"\0\0secret",
        b"\0alice@example.org\0sec\0ret",
        b"\0alice@example.org\0secret\0",
        b"\0\xff\0secret",
        b"\xff\0alice@example.org\0secret",
        b"\0alice@example.org\0\xc3",
        b"\0" + b"x" * 256 + b"\0secret",
        b"x" * 256 + b"\0alice@example.org\0secret",
        b"\0alice@example.org\0" + b"x" * 1025,
    ],
    ids=lambda response: repr(response[:30]),
)
async def test_what_is_outside_the_grammar_of_plain_is_malformed(response: bytes) -> None:
    assert await plain(response) == Failure(Reason.MALFORMED)


@pytest.mark.parametrize(
    ("response", "user"),
    [
        (b"\0alice@example.org\0Secret", ALICE),
        (b"\0nobody@example.org\0secret", "nobody@example.org"),
        (b"\0alice@example.org\0", ALICE),
        (b"\0a\rb\0secret", ""),
        (b"\0\xd8\xa71\0secret", ""),
    ],
)
async def test_what_proves_nothing_is_wrong(response: bytes, user: str) -> None:
    step = await plain(response)

    assert isinstance(step, Failure)
    assert (step.reason, step.user) == (Reason.WRONG, user)


async def test_login_asks_twice() -> None:
    exchange = Login(terms())

    assert await exchange.respond(None) == Challenge(b"Username:")
    assert await exchange.respond(b"alice@example.org") == Challenge(b"Password:")
    step = await exchange.respond(b"secret")

    assert isinstance(step, Success)
    assert step.login.mechanism == "LOGIN"


async def test_the_initial_response_of_login_is_the_name() -> None:
    exchange = Login(terms())

    assert await exchange.respond(b"alice@example.org") == Challenge(b"Password:")
    assert isinstance(await exchange.respond(b"secret"), Success)


@pytest.mark.parametrize(
    ("responses", "expected"),
    [
        ((b"alice@example.org", b"wrong"), Reason.WRONG),
        ((b"alice@example.org", b""), Reason.WRONG),
        ((b"a\0b",), Reason.MALFORMED),
        ((b"x" * 256,), Reason.MALFORMED),
        ((b"", b"secret"), Reason.MALFORMED),
        ((b"alice@example.org", b"sec\0ret"), Reason.MALFORMED),
        ((b"alice@example.org", b"\xff"), Reason.MALFORMED),
        ((b"\xff", b"secret"), Reason.MALFORMED),
        ((b"alice@example.org", b"x" * 1025), Reason.MALFORMED),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_login_fails_as_plain_does(responses: tuple[bytes, ...], expected: Reason) -> None:
    assert reason(await login(*responses)) is expected


@pytest.mark.parametrize("response", [b"", b"alice@example.org"], ids=repr)
async def test_external_believes_the_certificate(response: bytes) -> None:
    exchange = External(terms(certificate=(ALICE, "sales@example.org")))

    assert await exchange.respond(None) == Challenge(b"")
    step = await exchange.respond(response)

    assert isinstance(step, Success)
    assert (step.login.account, step.login.mechanism) == (ALICE, "EXTERNAL")


@pytest.mark.parametrize(
    ("certificate", "response", "expected"),
    [
        ((), b"", Reason.WRONG),
        ((ALICE,), b"bob@example.org", Reason.WRONG),
        ((ALICE,), b"a\x07", Reason.WRONG),
        ((ALICE,), b"a\0", Reason.MALFORMED),
        ((ALICE,), b"\xff", Reason.MALFORMED),
        ((ALICE,), b"x" * 256, Reason.MALFORMED),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_external_fails_without_a_certificate_for_the_name(
    certificate: tuple[str, ...], response: bytes, expected: Reason
) -> None:
    assert reason(await External(terms(certificate=certificate)).respond(response)) is expected


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_no_octets_are_an_exception(one: bytes, other: bytes) -> None:
    async def all_of_them() -> list[Step]:
        with_certificate = terms(certificate=(ALICE,))
        first = Login(terms())
        return [
            await plain(one),
            await plain(b"\0" + one + b"\0" + other),
            await External(with_certificate).respond(one),
            await first.respond(one),
            await first.respond(other),
        ]

    assert not any(isinstance(step, Success) for step in run(all_of_them()) if one)
