"""Logging in to a smarthost: over verified TLS or not at all, and what is refused is our trouble alone."""

import base64
import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import scramp

from notqmail.config import Seconds, SmarthostLogin, To
from notqmail.delivery import login
from notqmail.delivery.connection import Connection
from notqmail.delivery.credentials import Secret
from notqmail.delivery.terms import Account
from notqmail.mail.outcome import Outcome
from tests.support.certificates import Authority, untrusted
from tests.support.clock import FakeClock
from tests.support.remote import entry, remote
from tests.support.smtp_peer import CLOSE, Login, SmtpPeer

HOST = "127.0.0.1"
USER, PASSWORD = "alice@example.org", "correct horse"
BOB = "bob@example.net"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n", "utf-8")
    path.chmod(0o600)
    return str(path)


def plain(text: str) -> bytes:
    return base64.b64encode(text.encode())


TOKEN = plain(f"\0{USER}\0{PASSWORD}").decode()


def lets_in(mechanism: str, initial: str | None) -> Generator[str, str, str]:
    """A server that knows alice by PLAIN, LOGIN and SCRAM-SHA-256."""
    if mechanism == "PLAIN":
        given = (yield "334 ") if initial is None else initial
        return "235 2.7.0 welcome" if given == TOKEN else "535 5.7.8 no"
    if mechanism == "LOGIN":
        user = yield f"334 {plain('Username:').decode()}"
        password = yield f"334 {plain('Password:').decode()}"
        fine = (user, password) == (plain(USER).decode(), plain(PASSWORD).decode())
        return "235 2.7.0 welcome" if fine else "535 5.7.8 no"
    return (yield from _scram(mechanism, initial or ""))


def _scram(name: str, initial: str) -> Generator[str, str, str]:
    mechanism = scramp.ScramMechanism(name)
    kept = mechanism.make_auth_info(PASSWORD)
    server = mechanism.make_server(lambda user: kept)
    server.set_client_first(base64.b64decode(initial).decode())
    final = yield f"334 {plain(server.get_server_first()).decode()}"
    try:
        server.set_client_final(base64.b64decode(final).decode())
    except scramp.ScramException:
        return "535 5.7.8 no"
    assert (yield f"334 {plain(server.get_server_final()).decode()}") == ""
    return "235 2.7.0 welcome"


def refuses(reply: str) -> Login:
    def answer(mechanism: str, initial: str | None) -> Generator[str, str, str]:
        yield from ()
        return reply

    return answer


def asks(*challenges: str, then: str = "235 2.7.0 welcome") -> Login:
    def answer(mechanism: str, initial: str | None) -> Generator[str, str, str]:
        for challenge in challenges:
            if (yield challenge) == "*":
                return "501 5.7.0 cancelled"
        return then

    return answer


class Smarthost:
    """A peer with a certificate and a login, and what we send through it."""

    def __init__(
        self, authority: Authority, password_file: str, answer: Login = lets_in, **peer: Any
    ) -> None:
        mechanisms = peer.pop("mechanisms", "PLAIN LOGIN SCRAM-SHA-256")
        defaults: dict[str, Any] = {
            "lines": ("PIPELINING", f"AUTH {mechanisms}"),
            "tls": authority.context(HOST),
            "implicit": True,
        }
        self.peer = SmtpPeer(login=answer, **{**defaults, **peer})
        self.clock = FakeClock()
        self._authority, self._file = authority, password_file

    def keys(self, **login: Any) -> dict[str, Any]:
        return {
            "smarthost": f"{HOST}:{self.peer.port}",
            "implicit_tls": True,
            "login": SmarthostLogin(user=USER, password_file=self._file, **login),
        }

    async def send(self, count: int = 1, **login: Any) -> list[Outcome]:
        made: list[Outcome] = []
        async with (
            self.peer,
            remote(
                self.peer,
                clock=self.clock,
                tls="verify",
                ca_file=self._authority.file,
                **self.keys(**login),
            ) as transport,
        ):
            for _ in range(count):
                made += await transport.deliver(entry(BOB, nexthop=f"{HOST}:{self.peer.port}"))
        return made


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
async def test_mail_goes_after_a_login(
    authority: Authority, password_file: str, mechanism: str
) -> None:
    smarthost = Smarthost(authority, password_file)

    (made,) = await smarthost.send(mechanisms=(mechanism,))

    assert made.action == "relayed"
    verbs = smarthost.peer.sessions[0].verbs
    assert verbs == ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]
    assert smarthost.peer.commands[1].startswith(f"AUTH {mechanism}")


async def test_login_works_after_starttls_too(authority: Authority, password_file: str) -> None:
    lines = ("STARTTLS", "AUTH PLAIN")
    smarthost = Smarthost(authority, password_file, implicit=False, lines=lines)
    async with smarthost.peer as peer:
        keys = {**smarthost.keys(), "implicit_tls": False, "ca_file": authority.file}
        async with remote(peer, tls="verify", **keys) as transport:
            (made,) = await transport.deliver(entry(BOB))

    assert made.action == "relayed"
    assert peer.sessions[0].verbs[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]


async def test_strongest_mechanism_in_common_is_used(
    authority: Authority, password_file: str
) -> None:
    smarthost = Smarthost(authority, password_file)

    await smarthost.send()

    assert smarthost.peer.commands[1].startswith("AUTH SCRAM-SHA-256 ")


async def test_channel_is_bound_where_that_is_offered(
    authority: Authority, password_file: str
) -> None:
    seen: list[str] = []

    def record(mechanism: str, initial: str | None) -> Generator[str, str, str]:
        seen.append(f"{mechanism} {base64.b64decode(initial or '').decode()}")
        yield from ()
        return "454 4.7.0 later"

    for mechanisms in ("SCRAM-SHA-256-PLUS SCRAM-SHA-256", "SCRAM-SHA-256"):
        await Smarthost(authority, password_file, record, mechanisms=mechanisms).send()
    await Smarthost(
        authority, password_file, record, mechanisms="SCRAM-SHA-256-PLUS SCRAM-SHA-256"
    ).send(mechanisms=("SCRAM-SHA-256",))

    assert seen[0].startswith("SCRAM-SHA-256-PLUS p=tls-server-end-point,,")
    assert seen[1].startswith("SCRAM-SHA-256 y,,")
    assert seen[2].startswith("SCRAM-SHA-256 n,,")


async def test_session_is_logged_in_once(authority: Authority, password_file: str) -> None:
    smarthost = Smarthost(authority, password_file)

    await smarthost.send(3)

    assert smarthost.peer.sessions[0].verbs.count("AUTH") == 1
    assert len(smarthost.peer.messages) == 3


async def test_long_password_follows_the_command(authority: Authority, tmp_path: Path) -> None:
    """RFC 4954 §4: no initial response that makes the line longer than a command may be."""
    path = tmp_path / "long"
    path.write_text("x" * 600, "utf-8")
    smarthost = Smarthost(authority, str(path), asks("334 "))

    (made,) = await smarthost.send(mechanisms=("PLAIN",))

    assert made.action == "relayed"
    assert smarthost.peer.commands[1] == "AUTH PLAIN"


async def test_wrong_password_keeps_the_mail_and_is_not_tried_again_soon(
    authority: Authority, password_file: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = refuses("535 5.7.8 Username and Password not accepted")
    smarthost = Smarthost(authority, password_file, answer)

    with caplog.at_level(logging.WARNING):
        made = await smarthost.send(3)

    assert {(m.action, m.reply.code, m.reply.enhanced) for m in made} == {("delayed", 451, "4.7.8")}
    assert "refuses our login: 535 5.7.8 Username and Password not accepted" in made[2].reply.text
    assert len(smarthost.peer.sessions) == 1
    (record,) = [record for record in caplog.records if record.msg == "login-refused"]
    assert record.levelno == logging.WARNING


async def test_refused_login_is_tried_again_after_its_time(
    authority: Authority, password_file: str
) -> None:
    smarthost = Smarthost(authority, password_file, refuses("535 5.7.8 no"))
    async with smarthost.peer as peer:
        keys = {**smarthost.keys(), "login_retry": Seconds(60), "ca_file": authority.file}
        async with remote(peer, tls="verify", clock=smarthost.clock, **keys) as transport:
            await transport.deliver(entry(BOB))
            smarthost.clock.advance(61)
            await transport.deliver(entry(BOB))

    assert len(peer.sessions) == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refuses("454 4.7.0 not now"), "cannot take our login now: 454 4.7.0 not now"),
        (refuses("235 2.7.0 come in"), "without showing that it knows the password"),
        (asks("334 !"), "the server's challenge is not base64"),
        (asks("334 ", "334 "), "the server's first message is not understood"),
        (asks(*["334 "] * 9), "not understood"),
    ],
)
async def test_login_that_fails_in_another_way_is_a_delay(
    authority: Authority, password_file: str, answer: Login, words: str
) -> None:
    (made,) = await Smarthost(authority, password_file, answer).send(mechanisms=("SCRAM-SHA-256",))

    assert (made.action, made.reply.enhanced) == ("delayed", "4.7.0")
    assert words in made.reply.text


async def test_server_that_asks_without_end_is_left(
    authority: Authority, password_file: str
) -> None:
    smarthost = Smarthost(authority, password_file, asks(*["334 "] * 9))

    (made,) = await smarthost.send(mechanisms=("PLAIN",))

    assert "asks for more than the mechanism has" in made.reply.text


async def test_server_that_hangs_up_is_a_delay(authority: Authority, password_file: str) -> None:
    smarthost = Smarthost(authority, password_file, replies={"AUTH": CLOSE})
    smarthost.peer._login = None

    (made,) = await smarthost.send()

    assert (made.action, made.reply.enhanced) == ("delayed", "4.4.2")


async def test_no_mechanism_in_common_is_a_delay(authority: Authority, password_file: str) -> None:
    for offered in ("XOAUTH2 CRAM-MD5", "no login"):
        lines = () if offered == "no login" else (f"AUTH {offered}",)
        (made,) = await Smarthost(authority, password_file, lines=lines).send()

        assert (made.action, made.reply.enhanced) == ("delayed", "4.7.0")
        assert f"offers {offered}, nothing" in made.reply.text


async def test_no_password_without_a_valid_certificate(
    authority: Authority, password_file: str
) -> None:
    smarthost = Smarthost(authority, password_file, tls=untrusted(HOST))

    (made,) = await smarthost.send()

    assert (made.action, made.reply.enhanced) == ("delayed", "4.7.5")
    assert not smarthost.peer.commands


async def test_no_password_over_a_session_that_is_not_verified() -> None:
    """Whatever the configuration said."""
    async with SmtpPeer(lines=("AUTH PLAIN",)) as peer, remote(peer) as transport:
        await transport.deliver(entry(BOB))
        (connection,) = transport._setup.sessions.pool._idle
        assert isinstance(connection, Connection)

        with pytest.raises(AssertionError):
            await login.log_in(connection, Account(USER, Secret(PASSWORD), ("PLAIN",)), 1)

    assert "AUTH" not in peer.sessions[0].verbs


@pytest.mark.parametrize("echo", [PASSWORD, TOKEN, plain(PASSWORD).decode()])
async def test_password_is_shown_by_nothing(
    authority: Authority, password_file: str, caplog: pytest.LogCaptureFixture, echo: str
) -> None:
    smarthost = Smarthost(authority, password_file, refuses(f"535 5.7.8 wrong: {echo}"))

    with caplog.at_level(logging.DEBUG):
        (made,) = await smarthost.send(mechanisms=("PLAIN",))

    assert made.reply.text.endswith("refuses our login: 535")
    told = f"{made} {[record.__dict__ for record in caplog.records]}"
    for secret in (PASSWORD, TOKEN, plain(PASSWORD).decode()):
        assert secret not in told


async def test_login_of_one_table_is_not_used_by_another(
    authority: Authority, password_file: str, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_text("battery staple\n", "utf-8")
    seen: list[str] = []

    def record(mechanism: str, initial: str | None) -> Generator[str, str, str]:
        yield from ()
        seen.append(base64.b64decode(initial or "").decode().split("\0")[1])
        return "235 2.7.0 welcome"

    smarthost = Smarthost(authority, password_file, record)
    async with smarthost.peer as peer:
        host = f"{HOST}:{peer.port}"
        tables = tuple(
            To(
                name=name,
                smarthost=host,
                implicit_tls=True,
                login=SmarthostLogin(user=name, password_file=str(other), mechanisms=("PLAIN",)),
            )
            for name in ("carol", "dave")
        )
        keys = {**smarthost.keys(mechanisms=("PLAIN",)), "to": tables, "ca_file": authority.file}
        async with remote(peer, tls="verify", **keys) as transport:
            for nexthop in (host, f"{host};carol", f"{host};dave", f"{host};carol", host):
                await transport.deliver(entry(BOB, nexthop=nexthop))

    assert seen == [USER, "carol", "dave"]
    assert [s.verbs.count("MAIL") for s in peer.sessions] == [2, 2, 1]
