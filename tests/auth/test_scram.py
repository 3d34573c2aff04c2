import base64
from collections.abc import Sequence

import pytest
import scramp
from hypothesis import given
from hypothesis import strategies as st

from notqmail.auth.sasl_client import client_exchange
from notqmail.auth.sasl_step import Challenge, Decoy, Failure, Reason, Step, Success, Terms
from notqmail.auth.scram import Scram, unescape
from notqmail.auth.scram_keys import derive
from notqmail.mail.address import Address
from notqmail.mail.login import Attempt, Login, ScramAccount, ScramKeys
from tests.support.clock import run
from tests.support.logins import ATTEMPT, Accounts

ALICE = "alice@example.org"
PASSWORDS = {"": "pencil", "phone": "aaaaa-bbbbb-ccccc-ddddd"}
ENDPOINT = "tls-server-end-point"
ECDSA, RSA = b"\x01" * 32, b"\x02" * 48
EVERYTHING = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1")


class OfRfc:
    """The account of the examples in the RFCs."""

    mechanisms = frozenset({"SCRAM-SHA-256", "SCRAM-SHA-1"})

    def __init__(self, hash: str, salt: str) -> None:
        self._hash, self._salt = hash, base64.b64decode(salt)

    async def scram(self, mechanism: str, user: str, attempt: Attempt) -> ScramAccount | None:
        assert user == "user"
        keys = derive(self._hash, "pencil", self._salt, 4096)  # type: ignore[arg-type]
        return ScramAccount(
            self._salt, 4096, (ScramKeys(keys.stored_key, keys.server_key, Login("user")),)
        )


def terms(
    accounts: object = None,
    *,
    offered: Sequence[str] = ("SCRAM-SHA-256", "SCRAM-SHA-1"),
    bindings: dict[str, Sequence[bytes]] | None = None,
    nonce: str = "ours",
    decoy: bytes = b"decoy",
) -> Terms:
    return Terms(
        accounts or Accounts({ALICE: PASSWORDS}),  # type: ignore[arg-type]
        ATTEMPT,
        tuple(offered),
        Decoy(decoy, 4096),
        lambda: nonce,
        "example.org",
        bindings or {},
    )


def bound(*values: bytes) -> Terms:
    return terms(offered=EVERYTHING, bindings={ENDPOINT: values})


async def talk(exchange: Scram, *responses: bytes) -> Step:
    step: Step = Challenge(b"")
    for response in responses:
        assert isinstance(step, Challenge)
        step = await exchange.respond(response)
    return step


async def log_in(
    mechanism: str, terms: Terms, user: str, password: str, binding: bytes | None = None
) -> Step:
    """Log in with our own client, which then believes the server."""
    exchange = Scram(mechanism, terms)
    client = client_exchange(mechanism, user, password, binding, "theirs")
    step = await exchange.respond(client.respond(None))
    while isinstance(step, Challenge):
        step = await exchange.respond(client.respond(step.octets))
    assert client.complete or isinstance(step, Failure)
    return step


@pytest.mark.parametrize(
    ("mechanism", "hash", "salt", "nonce", "dialogue"),
    [
        (  # RFC 5802 §5
            "SCRAM-SHA-1",
            "sha1",
            "QSXCR+Q6sek8bf92",
            "3rfcNHYJY1ZVvWVs7j",
            (
                b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
                b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ),
        ),
        (  # RFC 7677 §3
            "SCRAM-SHA-256",
            "sha256",
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            (
                b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
                b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
        ),
    ],
    ids=["RFC 5802", "RFC 7677"],
)
async def test_exchange_is_that_of_the_rfc(
    mechanism: str, hash: str, salt: str, nonce: str, dialogue: tuple[bytes, ...]
) -> None:
    exchange = Scram(mechanism, terms(OfRfc(hash, salt), nonce=nonce))
    client_first, server_first, client_final, server_final = dialogue

    assert await exchange.respond(None) == Challenge(b"")
    assert await exchange.respond(client_first) == Challenge(server_first)
    assert await exchange.respond(client_final) == Challenge(server_final)
    assert await exchange.respond(b"") == Success(Login("user", mechanism=mechanism))


@pytest.mark.parametrize("mechanism", EVERYTHING)
async def test_another_implementation_logs_in(mechanism: str) -> None:
    binding = (ENDPOINT, RSA) if mechanism.endswith("-PLUS") else None
    client = scramp.ScramClient([mechanism], ALICE, "pencil", channel_binding=binding)
    exchange = Scram(mechanism, bound(ECDSA, RSA))

    first = await exchange.respond(client.get_client_first().encode())
    assert isinstance(first, Challenge)
    client.set_server_first(first.octets.decode())
    final = await exchange.respond(client.get_client_final().encode())
    assert isinstance(final, Challenge)
    client.set_server_final(final.octets.decode())
    step = await exchange.respond(b"")

    assert step == Success(Login(ALICE, Address.parse(ALICE), mechanism))


@pytest.mark.parametrize("label", PASSWORDS)
async def test_the_password_that_fits_says_its_label(label: str) -> None:
    step = await log_in("SCRAM-SHA-256", terms(), ALICE, PASSWORDS[label])

    assert isinstance(step, Success)
    assert step.login.label == label


async def test_a_wrong_password_is_wrong() -> None:
    step = await log_in("SCRAM-SHA-256", terms(), ALICE, "pencils")

    assert step == Failure(Reason.WRONG, ALICE, "wrong name or password")


@pytest.mark.parametrize("value", [ECDSA, RSA])
async def test_any_certificate_we_show_may_be_bound(value: bytes) -> None:
    step = await log_in("SCRAM-SHA-256-PLUS", bound(ECDSA, RSA), ALICE, "pencil", value)

    assert isinstance(step, Success)
    assert step.login.mechanism == "SCRAM-SHA-256-PLUS"


async def test_a_channel_that_is_not_ours_is_noticed() -> None:
    step = await log_in("SCRAM-SHA-256-PLUS", bound(ECDSA, RSA), ALICE, "pencil", b"\x03" * 32)

    assert step == Failure(Reason.WRONG, ALICE, "the channel is not the one the client sees")


async def test_a_list_without_plus_is_noticed() -> None:
    """RFC 5802 §6: "y" while -PLUS was offered means that somebody in between took it away."""
    offered = await log_in("SCRAM-SHA-256", bound(ECDSA), ALICE, "pencil", ECDSA)
    not_offered = await log_in("SCRAM-SHA-256", terms(), ALICE, "pencil", ECDSA)

    assert offered == Failure(Reason.WRONG, why="somebody took -PLUS off the list of mechanisms")
    assert isinstance(not_offered, Success)


async def test_a_client_that_cannot_bind_may_do_without() -> None:
    assert isinstance(await log_in("SCRAM-SHA-256", bound(ECDSA), ALICE, "pencil"), Success)


@pytest.mark.parametrize("type", [b"tls-unique", b"tls-exporter", b"x"])
async def test_a_binding_we_do_not_have_is_unsupported(type: bytes) -> None:
    step = await talk(Scram("SCRAM-SHA-256-PLUS", bound(ECDSA)), b"p=" + type + b",,n=a,r=x")

    assert isinstance(step, Failure)
    assert step.reason is Reason.UNSUPPORTED


@pytest.mark.parametrize(
    ("mechanism", "gs2"),
    [
        ("SCRAM-SHA-256-PLUS", b"n"),
        ("SCRAM-SHA-256-PLUS", b"y"),
        ("SCRAM-SHA-256", b"p=" + ENDPOINT.encode()),
    ],
)
async def test_mechanism_and_header_agree(mechanism: str, gs2: bytes) -> None:
    step = await talk(Scram(mechanism, bound(ECDSA)), gs2 + b",,n=alice,r=x")

    assert step == Failure(Reason.MALFORMED)


@pytest.mark.parametrize(
    ("authzid", "allowed"),
    [
        ("", True),
        ("a=", True),
        ("a=alice@example.org", True),
        ("a=Alice@Example.org", True),
        ("a=alice", True),
        ("a=bob@example.org", False),
        ("a=\x07", False),
    ],
)
async def test_nobody_acts_as_somebody_else(authzid: str, allowed: bool) -> None:
    step = await talk(Scram("SCRAM-SHA-256", terms()), f"n,{authzid},n={ALICE},r=x".encode())

    if allowed:
        assert isinstance(step, Challenge)
    else:
        assert step == Failure(Reason.WRONG, ALICE, "asks to act as somebody else")


async def test_the_proof_covers_the_authorisation_identity() -> None:
    """c= must repeat the header that was sent (RFC 5802 §5.1)."""
    exchange = Scram("SCRAM-SHA-256", terms())
    client = client_exchange("SCRAM-SHA-256", ALICE, "pencil", None, "theirs")
    first = client.respond(None).replace(b"n,,", b"n,a=alice@example.org,", 1)
    answer = await exchange.respond(first)
    assert isinstance(answer, Challenge)

    step = await exchange.respond(client.respond(answer.octets))

    assert step == Failure(Reason.WRONG, ALICE, "the channel is not the one the client sees")


async def test_nobody_can_tell_who_exists() -> None:
    async def shown(user: str, decoy: bytes = b"decoy") -> str:
        exchange = Scram("SCRAM-SHA-256", terms(decoy=decoy))
        step = await exchange.respond(f"n,,n={user},r=theirs".encode())
        assert isinstance(step, Challenge)
        return step.octets.decode()

    known, unknown = await shown(ALICE), await shown("nobody@example.org")

    assert len(known) == len(unknown)
    assert await shown("nobody@example.org") == unknown
    assert await shown("NOBODY@Example.Org") == unknown
    assert await shown("nobody") == unknown
    assert await shown("nobody2@example.org") != unknown
    assert await shown("nobody@example.org", b"another server") != unknown
    step = await log_in("SCRAM-SHA-256", terms(), "nobody@example.org", "pencil")
    assert step == Failure(Reason.WRONG, "nobody@example.org", "wrong name or password")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff",
        b"n",
        b"n,",
        b"n,,",
        b"n,,n=alice",
        b"n,,n=alice,",
        b"n,,n=alice,r=",
        b"n,,r=x",
        b"n,,r=x,n=alice",
        b"n,,n=,r=x",
        b"n,,n=al\0ice,r=x",
        b"n,,n=alice,r=\xc3\xa4",
        b"n,,n=alice,r=x y",
        b"n,,m=ext,n=alice,r=x",
        b"n,,n=al=ice,r=x",
        b"n,,n=al=2cice,r=x",
        b"n,a==,n=alice,r=x",
        b"n,alice,n=alice,r=x",
        b"z,,n=alice,r=x",
        b"p=,,n=alice,r=x",
        b"p=a_b,,n=alice,r=x",
        b"n,,n=alice,r=x,1=y",
        b"n,,n=alice,r=x,e",
    ],
    ids=repr,
)
async def test_a_first_message_outside_the_grammar_is_malformed(message: bytes) -> None:
    assert await talk(Scram("SCRAM-SHA-256", terms()), message) == Failure(Reason.MALFORMED)


@pytest.mark.parametrize(
    "name", [b"a\x07", b"\xd8\xa71", b"\xe2\x80\x8b", b"x" * 256], ids=lambda name: repr(name)[:20]
)
async def test_a_name_that_nobody_can_have_is_wrong(name: bytes) -> None:
    step = await talk(Scram("SCRAM-SHA-256", terms()), b"n,,n=" + name + b",r=x")

    assert step == Failure(Reason.WRONG, why="a name that nobody can have")


PROOF = base64.b64encode(b"\0" * 32)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", Reason.MALFORMED),
        (b"\xff", Reason.MALFORMED),
        (b"c=biws", Reason.MALFORMED),
        (b"c=biws,r=xours", Reason.MALFORMED),
        (b"c=biws,r=xours,p=", Reason.MALFORMED),
        (b"c=biws,r=xours,p=AAAA", Reason.MALFORMED),
        (b"c=biws,r=xours,p=AAA", Reason.MALFORMED),
        (b"c=biw,r=xours,p=" + PROOF, Reason.MALFORMED),
        (b"c=biws,r=xours,p=" + PROOF + b",e=x", Reason.MALFORMED),
        (b"r=xours,c=biws,p=" + PROOF, Reason.MALFORMED),
        (b"c=biws,r=xourz,p=" + PROOF, Reason.WRONG),
        (b"c=biws,r=x,p=" + PROOF, Reason.WRONG),
        (b"c=eSws,r=xours,p=" + PROOF, Reason.WRONG),
        (b"c=biwsAAAA,r=xours,p=" + PROOF, Reason.WRONG),
        (b"c=biws,r=xours,e=extension,p=" + PROOF, Reason.WRONG),
        (b"c=biws,r=xours,p=" + PROOF, Reason.WRONG),
    ],
    ids=repr,
)
async def test_a_final_message_is_malformed_or_wrong(message: bytes, reason: Reason) -> None:
    step = await talk(Scram("SCRAM-SHA-256", terms()), b"n,,n=alice@example.org,r=x", message)

    assert isinstance(step, Failure)
    assert step.reason is reason


async def test_an_extension_is_ignored() -> None:
    exchange = Scram("SCRAM-SHA-256", terms())
    client = client_exchange("SCRAM-SHA-256", ALICE, "pencil", None, "theirs,z=extension")
    first = await exchange.respond(client.respond(None))

    assert isinstance(first, Challenge)
    assert first.octets.startswith(b"r=theirsours,")


async def test_the_end_is_an_empty_response() -> None:
    exchange = Scram("SCRAM-SHA-256", terms())
    client = client_exchange("SCRAM-SHA-256", ALICE, "pencil", None, "theirs")
    first = await exchange.respond(client.respond(None))
    assert isinstance(first, Challenge)
    await exchange.respond(client.respond(first.octets))

    assert await exchange.respond(b"more") == Failure(Reason.MALFORMED)


def test_escapes_of_a_name_are_two() -> None:
    assert unescape("a=2Cb=3Dc=3D2C") == "a,b=c=2C"
    assert unescape("a=") is None
    assert unescape("a=2c") is None


PIECES = [
    b"n,,",
    b"y,,",
    b"p=tls-server-end-point,,",
    b"n=alice",
    b"r=x",
    b"c=biws",
    b"r=xours",
    b"p=",
    PROOF,
    b",",
    b"=",
    b"a=",
]


@given(
    st.sampled_from(EVERYTHING),
    st.lists(
        st.binary(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join),
        max_size=4,
    ),
)
def test_no_octets_are_an_exception_or_a_success(mechanism: str, responses: list[bytes]) -> None:
    async def conversation() -> None:
        exchange = Scram(mechanism, bound(ECDSA))
        for response in responses:
            step = await exchange.respond(response)
            assert not isinstance(step, Success)
            if isinstance(step, Failure):
                return

    run(conversation())
