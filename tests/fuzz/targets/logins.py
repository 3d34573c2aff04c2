"""What is said to log in, by clients and by servers, and the file of app passwords."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from notqmail.auth import sasl
from notqmail.auth.sasl_client import STRENGTH, client_exchange
from notqmail.mail.address import Address
from notqmail.mail.errors import ConfigError
from notqmail.system.app_passwords_text import parse_app_passwords
from tests.fuzz.given import RECORD, Given
from tests.fuzz.targets.addresses import assert_address
from tests.support.logins import ATTEMPT, Accounts

T = TypeVar("T")
ALICE = "alice@example.org"
MECHANISMS = (*STRENGTH, "EXTERNAL")


def server(data: bytes) -> None:
    """Whatever a client says, each exchange ends with a failure, or with the login of whom it knows."""
    given = Given(data)
    terms = sasl.Terms(
        Accounts({ALICE: {"": "secret"}}),
        ATTEMPT,
        MECHANISMS,
        sasl.Decoy(b"decoy"),
        lambda: "ours",
        "example.org",
        {"tls-server-end-point": (b"a", b"b")},
        (ALICE,),
    )
    mechanism = MECHANISMS[given.number(len(MECHANISMS))]
    exchange = sasl.begin(mechanism, terms)
    assert exchange is not None
    for response in given.rest().split(RECORD)[:5]:
        step = _now(exchange.respond(response))
        if isinstance(step, sasl.Success):
            assert step.login.account == ALICE
            assert step.login.mechanism == mechanism
            assert b"secret" in data or mechanism == "EXTERNAL"
        if isinstance(step, sasl.Failure):
            assert step.user.isprintable()
            assert len(step.user.encode()) <= 4 * 255  # NFKC may lengthen it
        if not isinstance(step, sasl.Challenge):
            return


def client(data: bytes) -> None:
    """Whatever a server says, the exchange goes on or ends with a ValueError; SCRAM never believes it."""
    given = Given(data)
    mechanism = STRENGTH[given.number(len(STRENGTH))]
    exchange = client_exchange(mechanism, "alice", "secret", b"binding", "theirs")
    exchange.respond(None)
    try:
        for challenge in given.rest().split(RECORD)[:5]:
            exchange.respond(challenge)
    except ValueError as error:
        assert_no_secret(error, data)
    assert exchange.complete == (not mechanism.startswith("SCRAM"))


def app_passwords(data: bytes) -> None:
    """The file is read or refused with file, line and remedy; what is read is written as it was understood."""
    text = Given(data).text()
    try:
        found = parse_app_passwords(text, "file")
    except ConfigError as error:
        _assert_sentence(error)
        return
    for key, of_one in found.items():
        assert of_one
        for each in of_one:
            assert_address(each.address)
            if all(map(_can_be_written, (each.address, each.only_from))):
                assert parse_app_passwords(str(each), "file") == {key: (each,)}


def _can_be_written(address: Address | None) -> bool:
    """White space beyond ASCII and # need no quotes in mail, but mean something here: no such address can be added."""
    local = "" if address is None else address.local
    return not local.startswith("#") and not any(c.isspace() and c != " " for c in local)


def assert_no_secret(error: ValueError, data: bytes) -> None:
    """What the server says stands in the error; what only we know does not."""
    assert "secret" not in str(error) or b"secret" in data


def _assert_sentence(error: ConfigError) -> None:
    assert error.where.startswith("file:")
    assert error.problem


def _now(work: Coroutine[Any, Any, T]) -> T:
    """Run what never has to wait."""
    try:
        work.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    raise AssertionError("it waits")
