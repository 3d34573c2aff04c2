"""AUTH in a session: over real TLS, on a transport in memory, against accounts that are values."""

import asyncio
import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from notqmail.auth.sasl import Decoy
from notqmail.auth.sasl_client import client_exchange
from notqmail.config import Limits
from notqmail.smtpd.login import MAX_LINE, Logins
from notqmail.smtpd.service import Doors
from notqmail.system.clock import SystemClock
from tests.support.logins import Accounts
from tests.support.session import House, run
from tests.support.tls_client import OneCertificate, TlsClient

EHLO = b"EHLO client.example\r\n"
ALICE, PASSWORD = "alice@example.org", "correct horse"
PLAIN = base64.b64encode(f"\0{ALICE}\0{PASSWORD}".encode())
WRONG = base64.b64encode(f"\0{ALICE}\0wrong".encode())


@dataclass(slots=True)
class Cost:
    delay: float = 0.0
    banned_until: float | None = None


@dataclass(slots=True)
class Guard:
    """login.LoginGuard that remembers, with the same cost for every failure."""

    cost: Cost = field(default_factory=Cost)
    failures: list[str] = field(default_factory=list)
    bans: set[str] = field(default_factory=set)

    def banned(self, address: str) -> float | None:
        return 1e9 if address in self.bans else None

    def failed(self, address: str) -> Cost:
        self.failures.append(address)
        return self.cost


class Place:
    """A submission listener."""

    def __init__(
        self,
        tls: OneCertificate,
        *,
        mechanisms: tuple[str, ...] = (
            "SCRAM-SHA-256-PLUS",
            "SCRAM-SHA-256",
            "PLAIN",
            "LOGIN",
            "EXTERNAL",
        ),
        served: tuple[str, ...] = ("PLAIN", "LOGIN", "SCRAM-SHA-256", "EXTERNAL"),
        implicit: bool = False,
        **options: Any,
    ) -> None:
        self.guard = Guard()
        self.accounts = Accounts({ALICE: {"": PASSWORD}}, served)
        logins = Logins(
            accounts=self.accounts,
            mechanisms=mechanisms,
            attempts=3,
            guard=self.guard,
            decoy=Decoy(b"secret"),
            nonce=lambda: "nonce-of-the-server",
            clock=SystemClock(),
        )
        self.house = House(
            kind="submission",
            doors=Doors(tls=tls, implicit=implicit),
            logins=logins,
            **options,
        )

    def connect(self) -> TlsClient:
        """A client behind STARTTLS and EHLO."""
        wire = self.house.connect()
        wire.send(EHLO + b"STARTTLS\r\n")
        client = TlsClient(wire)
        client.handshake()
        client.say(EHLO)
        return client


@pytest.fixture
def tls(tmp_path: Path) -> OneCertificate:
    return OneCertificate(tmp_path)


async def said(client: TlsClient, octets: bytes, wait: float = 0.0) -> bytes:
    """Say something and give the answer, which may take a turn or two."""
    answer = client.say(octets)
    await asyncio.sleep(wait)
    for _ in range(5):
        await asyncio.sleep(0)
    return answer + client.hear()


# what is offered


def test_nothing_is_offered_in_clear(tls: OneCertificate) -> None:
    async def scenario() -> None:
        wire = Place(tls).house.connect()

        wire.send(EHLO + b"AUTH PLAIN " + PLAIN + b"\r\nMAIL FROM:<alice@example.org>\r\n")

        assert b"AUTH" not in wire.written
        assert wire.replies()[-2:] == ["530 5.7.0", "530 5.7.0"]
        assert wire.written.endswith(b"530 5.7.0 Must issue a STARTTLS command first\r\n")

    run(scenario())


def test_what_the_accounts_can_serve_is_offered_over_tls(tls: OneCertificate) -> None:
    async def scenario() -> None:
        assert b"AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r\n" in Place(tls).connect().said
        assert b"AUTH PLAIN\r\n" in Place(tls, served=("PLAIN", "EXTERNAL")).connect().said

    run(scenario())


def test_a_mechanism_that_is_not_offered_is_not_served(tls: OneCertificate) -> None:
    async def scenario() -> None:
        client = Place(tls, served=("LOGIN",)).connect()

        for name in (b"PLAIN " + PLAIN, b"SCRAM-SHA-256", b"GSSAPI", b"EXTERNAL ="):
            assert (await said(client, b"AUTH " + name + b"\r\n")).startswith(b"504 5.5.4")

    run(scenario())


def test_nobody_logs_in_at_a_door_for_the_world(tls: OneCertificate) -> None:
    async def scenario() -> None:
        wire = House(doors=Doors(tls=tls)).connect()
        wire.send(EHLO + b"STARTTLS\r\n")
        client = TlsClient(wire)
        client.handshake()

        assert b"AUTH" not in client.say(EHLO)
        assert client.say(b"AUTH PLAIN " + PLAIN + b"\r\n").startswith(b"502 5.5.1")

    run(scenario())


# logging in


@pytest.mark.parametrize("verb", [b"AUTH PLAIN", b"auth plain", b"Auth Plain"])
def test_plain_with_an_initial_response(tls: OneCertificate, verb: bytes) -> None:
    async def scenario() -> None:
        place = Place(tls)
        client = place.connect()

        assert await said(client, verb + b" " + PLAIN + b"\r\n") == b"235 2.7.0 logged in\r\n"

        assert b"AUTH" not in await said(client, EHLO)
        assert (await said(client, b"MAIL FROM:<a@example.org> AUTH=<>\r\n")).startswith(b"250")
        assert place.accounts.uses[0].account == ALICE
        assert place.house.counts.logins == {"ok": 1}

    run(scenario())


def test_plain_without_an_initial_response_is_asked_for(tls: OneCertificate) -> None:
    async def scenario() -> None:
        client = Place(tls).connect()

        assert await said(client, b"AUTH PLAIN\r\n") == b"334 \r\n"
        assert (await said(client, PLAIN + b"\r\n")).startswith(b"235")

    run(scenario())


def test_login_asks_for_name_and_password(tls: OneCertificate) -> None:
    async def scenario() -> None:
        client = Place(tls).connect()

        asked = await said(client, b"AUTH LOGIN\r\n")
        password = await said(client, base64.b64encode(ALICE.encode()) + b"\r\n")
        end = await said(client, base64.b64encode(PASSWORD.encode()) + b"\r\n")

        assert base64.b64decode(asked.split()[1]).lower().startswith(b"user")
        assert base64.b64decode(password.split()[1]).lower().startswith(b"pass")
        assert end.startswith(b"235")

    run(scenario())


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
def test_scram_proves_both_sides(tls: OneCertificate, mechanism: str) -> None:
    async def scenario() -> None:
        client = Place(tls).connect()
        bindings = b"binding" if mechanism.endswith("PLUS") else None
        exchange = client_exchange(mechanism, ALICE, PASSWORD, bindings, "nonce-of-the-client")

        first = base64.b64encode(exchange.respond(None))
        answer = await said(client, f"AUTH {mechanism} ".encode() + first + b"\r\n")
        while answer.startswith(b"334"):
            response = exchange.respond(base64.b64decode(answer[4:]))
            answer = await said(client, base64.b64encode(response) + b"\r\n")

        assert answer.startswith(b"235")
        assert exchange.complete

    run(scenario())


def test_a_message_of_somebody_logged_in_says_so(tls: OneCertificate) -> None:
    async def scenario() -> None:
        place = Place(tls)
        client = place.connect()

        await said(client, b"AUTH PLAIN " + PLAIN + b"\r\n")
        await said(client, b"MAIL FROM:<alice@example.org> AUTH=<>\r\n")
        await said(client, b"RCPT TO:<bob@elsewhere.example>\r\nDATA\r\n")
        assert b"250 2.0.0 queued" in await said(client, b"Subject: x\r\n\r\nx\r\n.\r\n")

        [txn] = place.house.intake.transactions
        assert txn.protocol == "ESMTPSA"
        assert txn.session.login is not None
        assert txn.session.login.account == ALICE

    run(scenario())


# what is wrong


def test_mail_without_a_login_is_refused_at_once(tls: OneCertificate) -> None:
    async def scenario() -> None:
        client = Place(tls).connect()

        assert await said(client, b"MAIL FROM:<alice@example.org>\r\n") == (
            b"530 5.7.0 authentication required\r\n"
        )

    run(scenario())


def test_a_wrong_password_and_a_wrong_name_are_answered_alike(tls: OneCertificate) -> None:
    async def scenario() -> None:
        place = Place(tls)
        client = place.connect()
        nobody = base64.b64encode(b"\0nobody@example.org\0x")

        assert await said(client, b"AUTH PLAIN " + WRONG + b"\r\n") == (
            b"535 5.7.8 name or password is wrong\r\n"
        )
        assert await said(client, b"AUTH PLAIN " + nobody + b"\r\n") == (
            b"535 5.7.8 name or password is wrong\r\n"
        )
        assert place.guard.failures == ["192.0.2.1"] * 2
        assert b"AUTH SCRAM" in await said(client, EHLO)

    run(scenario())


def test_too_many_failures_end_the_session(tls: OneCertificate) -> None:
    async def scenario() -> None:
        client = Place(tls).connect()

        answers = [await said(client, b"AUTH PLAIN " + WRONG + b"\r\n") for _ in range(3)]

        assert [answer[:9] for answer in answers] == [b"535 5.7.8", b"535 5.7.8", b"421 4.7.0"]
        assert client.over

    run(scenario())


def test_a_failure_is_answered_after_its_delay(tls: OneCertificate) -> None:
    async def scenario() -> None:
        place = Place(tls)
        place.guard.cost = Cost(delay=4.0)
        client = place.connect()

        assert await said(client, b"AUTH PLAIN " + WRONG + b"\r\n", 3.9) == b""
        assert (await said(client, b"", 0.2)).startswith(b"535 5.7.8")

    run(scenario())


def test_who_is_banned_by_a_failure_is_told_so_and_then_not_let_in(tls: OneCertificate) -> None:
    async def scenario() -> None:
        place = Place(tls)
        place.guard.cost = Cost(banned_until=1e9)
        client = place.connect()

        assert (await said(client, b"AUTH PLAIN " + WRONG + b"\r\n")).startswith(b"421 4.7.0")
        place.guard.bans.add("192.0.2.1")
        wire = place.house.connect()

        assert wire.replies() == ["421 4.7.0"]
        assert wire.closed

    run(scenario())


def test_accounts_that_cannot_tell_put_off_and_cost_the_client_nothing(
    tls: OneCertificate,
) -> None:
    async def scenario() -> None:
        place = Place(tls)
        place.accounts.away = True
        client = place.connect()

        assert (await said(client, b"AUTH PLAIN " + PLAIN + b"\r\n")).startswith(b"454 4.7.0")
        place.accounts.away = False
        assert (await said(client, b"AUTH PLAIN " + PLAIN + b"\r\n")).startswith(b"235")
        assert place.guard.failures == []

    run(scenario())


def test_accounts_that_never_can_tell_end_the_session_in_their_own_words(
    tls: OneCertificate,
) -> None:
    async def scenario() -> None:
        place = Place(tls)
        place.accounts.away = True
        client = place.connect()

        answers = [await said(client, b"AUTH PLAIN " + PLAIN + b"\r\n") for _ in range(3)]

        assert [answer[:9] for answer in answers] == [b"454 4.7.0", b"454 4.7.0", b"421 4.7.0"]
        assert b"logins cannot be checked now" in answers[-1]
        assert client.over

    run(scenario())


def test_who_was_banned_meanwhile_is_not_heard(tls: OneCertificate) -> None:
    """Another session of the same network has failed too often since this one came in."""

    async def scenario() -> None:
        place = Place(tls)
        client = place.connect()
        place.guard.bans.add("192.0.2.1")

        answer = await said(client, b"AUTH PLAIN " + PLAIN + b"\r\n")

        assert answer.startswith(b"421 4.7.0")
        assert place.accounts.asked == []
        assert client.over

    run(scenario())


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        ([b"AUTH PLAIN", b"*"], b"501 5.0.0"),
        ([b"AUTH LOGIN", b"*"], b"501 5.0.0"),
        ([b"AUTH PLAIN", b"not base64!"], b"501 5.5.2"),
        ([b"AUTH PLAIN not=base64"], b"501 5.5.2"),
        ([b"AUTH PLAIN", b"AGE"], b"501 5.5.2"),
        ([b"AUTH PLAIN ="], b"501 5.5.2"),
        ([b"AUTH PLAIN " + base64.b64encode(b"\0\xff\xfe\0x")], b"501 5.5.2"),
        ([b"AUTH PLAIN " + base64.b64encode(b"a\0b\0c\0d")], b"501 5.5.2"),
        ([b"AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,,n=alice")], b"501 5.5.2"),
        ([b"AUTH SCRAM-SHA-256", base64.b64encode(b"n,,")], b"501 5.5.2"),
        ([b"AUTH PLAIN", b"x" * MAX_LINE], b"500 5.5.6"),
        ([b"AUTH PLAIN", b"QUIT\r"], b"500 5.5.6"),
    ],
)
def test_a_response_that_is_none_ends_the_exchange(
    tls: OneCertificate, lines: list[bytes], reply: bytes
) -> None:
    async def scenario() -> None:
        client = Place(tls).connect()

        answer = b""
        for line in lines:
            answer = await said(client, line + b"\r\n")

        assert answer[:9] == reply
        assert (await said(client, b"NOOP\r\n")).startswith(b"250")
        assert (await said(client, b"AUTH PLAIN " + PLAIN + b"\r\n")).startswith(b"235")

    run(scenario())


def test_a_long_initial_response_is_read_and_a_long_command_is_not(tls: OneCertificate) -> None:
    async def scenario() -> None:
        client = Place(tls).connect()
        long = base64.b64encode(b"\0" + ALICE.encode() + b"\0" + b"p" * 6000)

        assert (await said(client, b"AUTH PLAIN " + long + b"\r\n"))[:3] in (b"535", b"501")
        assert (await said(client, b"NOOP " + b"x" * 6000 + b"\r\n")).startswith(b"500 5.5.2")

    run(scenario())


def test_auth_has_its_place_in_a_session(tls: OneCertificate) -> None:
    async def scenario() -> None:
        client = Place(tls).connect()
        auth = b"AUTH PLAIN " + PLAIN + b"\r\n"

        assert (await said(client, auth)).startswith(b"235")
        assert (await said(client, auth)).startswith(b"503 5.5.1 you are logged in")
        assert (await said(client, b"STARTTLS\r\n")).startswith(b"503 5.5.1")

    run(scenario())


def test_auth_in_a_transaction_is_refused(tls: OneCertificate) -> None:
    """Only a proxy can bring it about: who has not logged in comes to no transaction here."""

    async def scenario() -> None:
        place = Place(tls)
        client = place.connect()
        await said(client, b"AUTH PLAIN " + PLAIN + b"\r\nMAIL FROM:<alice@example.org>\r\n")

        assert (await said(client, b"AUTH PLAIN " + PLAIN + b"\r\n")).startswith(b"503 5.5.1")
        assert (await said(client, b"RCPT TO:<bob@example.org>\r\n")).startswith(b"250")

    run(scenario())


def test_auth_needs_ehlo_first(tls: OneCertificate) -> None:
    async def scenario() -> None:
        wire = Place(tls, implicit=True).house.connect()
        client = TlsClient(wire)
        client.handshake()
        auth = b"AUTH PLAIN " + PLAIN + b"\r\n"

        assert (await said(client, auth)).endswith(b"503 5.5.1 say EHLO first\r\n")
        await said(client, b"HELO client.example\r\n")
        assert (await said(client, auth)).startswith(b"503 5.5.1 say EHLO first")

    run(scenario())


def test_a_client_that_leaves_in_an_exchange_is_counted_out(tls: OneCertificate) -> None:
    async def scenario() -> None:
        place = Place(tls)
        client = place.connect()
        await said(client, b"AUTH LOGIN\r\n")

        client.close()
        await asyncio.sleep(1)

        assert len(place.house.registry) == 0

    run(scenario())


# what is told


def test_no_secret_is_logged_answered_or_recorded(
    tls: OneCertificate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")

    async def scenario() -> None:
        place = Place(tls, limits=Limits(errors=100))
        client = place.connect()
        for line in (PLAIN[:-4], b"\0" + PLAIN, WRONG):
            await said(client, b"AUTH PLAIN " + line + b"\r\n")
        await said(client, b"AUTH PLAIN " + PLAIN + b"\r\nQUIT\r\n")

        logged = [vars(record) for record in caplog.records]
        told = repr((logged, place.house.journal.records, client.said))
        assert "login-failed" in told
        for secret in (PASSWORD, PLAIN.decode(), WRONG.decode(), PLAIN.decode()[:-4]):
            assert secret not in told

    run(scenario())


def test_every_login_is_logged_and_in_the_journal(
    tls: OneCertificate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def scenario() -> None:
        place = Place(tls)
        client = place.connect()
        await said(client, b"AUTH PLAIN " + WRONG + b"\r\n")
        await said(client, b"AUTH PLAIN " + PLAIN + b"\r\nQUIT\r\n")
        await asyncio.sleep(1)

        failed, ok = (each.fields for each in caplog.records if "login" in each.msg)  # type: ignore[attr-defined]
        assert (failed["user"], failed["ip"]) == (ALICE, "192.0.2.1")
        assert ok["user"] == ALICE
        [record] = place.house.journal.records
        verdicts = [(each["stage"], each["verdict"]) for each in record["decisions"]]
        assert verdicts == [("login", "reject"), ("login", "accept")]
        assert record["login"] == ALICE

    run(scenario())
