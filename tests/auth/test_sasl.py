import pytest

from notqmail.auth import sasl
from notqmail.auth.sasl_client import STRENGTH
from tests.support.logins import ATTEMPT, Accounts

CONFIGURED = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN", "EXTERNAL")
SERVED = frozenset({"PLAIN", "LOGIN", "SCRAM-SHA-256", "EXTERNAL"})


@pytest.mark.parametrize(
    ("served", "bound", "certified", "offered"),
    [
        (SERVED, True, True, CONFIGURED),
        (SERVED, False, False, ("SCRAM-SHA-256", "PLAIN", "LOGIN")),
        (SERVED, False, True, ("SCRAM-SHA-256", "PLAIN", "LOGIN", "EXTERNAL")),
        ({"PLAIN", "LOGIN"}, True, True, ("PLAIN", "LOGIN")),
        (set(), True, True, ()),
    ],
)
def test_what_can_be_served_is_offered_in_the_order_of_the_configuration(
    served: frozenset[str], bound: bool, certified: bool, offered: tuple[str, ...]
) -> None:
    assert sasl.offered(CONFIGURED, served, bound=bound, certified=certified) == offered


def terms(*offered: str) -> sasl.Terms:
    accounts = Accounts({"alice@example.org": {"": "secret"}})
    return sasl.Terms(accounts, ATTEMPT, offered, sasl.Decoy(b"decoy"), lambda: "nonce")


@pytest.mark.parametrize("name", [*STRENGTH, "EXTERNAL"])
def test_each_mechanism_begins_whatever_the_case(name: str) -> None:
    assert sasl.begin(name, terms(name)) is not None
    assert sasl.begin(name.lower(), terms(name)) is not None


@pytest.mark.parametrize("name", ["", "CRAM-MD5", "LOGIN", "plain "])
def test_what_was_not_offered_does_not_begin(name: str) -> None:
    assert sasl.begin(name, terms("PLAIN")) is None


async def test_a_mechanism_that_begins_is_the_one_that_was_asked_for() -> None:
    exchange = sasl.begin("login", terms("LOGIN"))

    assert exchange is not None
    assert await exchange.respond(None) == sasl.Challenge(b"Username:")


def test_the_secret_of_decoys_is_not_shown() -> None:
    assert "decoy" not in repr(sasl.Decoy(b"decoy"))
