"""Smarthosts: one that gets everything, whatever DNS says; and one that wants a login, as a provider's does."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import dovecot, postfix
from tests.support.certificates import Authority, write
from tests.support.places import open_directory
from tests.support.postfix import Postfix
from tests.support.server import DOMAIN, Server, prepared, serving
from tests.support.waiting import free_port

pytestmark = pytest.mark.interop

NOWHERE = {"dns.servers": ["127.0.0.1:9"]}
ACCOUNTS = {f"alice@{DOMAIN}": "correct horse", f"carol@{DOMAIN}": "battery,staple=ü"}
MECHANISMS = "auth_mechanisms = plain login scram-sha-256\n"
TO = "x@elsewhere.test"
ELSEWHERE = {
    "virtual_alias_maps": "inline:{@elsewhere.test=bob@postfix.test}",
    "virtual_alias_domains": "elsewhere.test",
}


def inject(server: Server, mark: str, sender: str = f"alice@{DOMAIN}") -> None:
    content = f"Subject: s\n\n{mark}\n".encode()
    given = server.command("inject", "-f", sender, TO, given=content)
    assert given.status == 0, given.output


def test_smarthost_takes_mail_for_everywhere() -> None:
    with postfix.running(users=("bob",), **ELSEWHERE) as peer:
        settings = {"outbound.smarthost": f"{peer.host}:{peer.port}", **NOWHERE}
        with serving(settings=settings) as server:
            inject(server, "by-smarthost")

            peer.wait_message("by-smarthost")


# -- with a login -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Provider:
    """A Postfix that takes nothing without a login, which Dovecot judges; and our server."""

    peer: Postfix
    implicit: int  # the port with TLS from the first octet
    ours: Server
    authority: Authority
    place: Path

    def secret(self, name: str, password: str) -> str:
        path = self.place / name
        path.touch(0o600)
        path.write_text(f"{password}\n", "utf-8")
        return str(path)

    def login(self, user: str, *mechanisms: str, password: str = "") -> dict[str, Any]:
        name = f"{user}@{DOMAIN}"
        file = self.secret(user, password or ACCOUNTS[name])
        chosen = {"mechanisms": list(mechanisms)} if mechanisms else {}
        return {"user": name, "password_file": file, **chosen}

    def use(self, login: dict[str, Any], **settings: Any) -> None:
        """Take over a configuration with this login."""
        default = {
            "smarthost": f"{self.peer.host}:{self.peer.port}",
            "tls": "verify",
            "ca_file": self.authority.file,
            "login_retry": "0s",
            "to": [],
        }
        self.ours.configure({"outbound": {**default, "login": login, **settings}})
        reloaded = self.ours.command("reload")
        assert reloaded.output == "reloaded\n"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(open_directory())
        settings = dovecot.LISTENER + MECHANISMS
        accounts = stack.enter_context(dovecot.running(ACCOUNTS, settings))
        authority = Authority.made(place)
        chain, key = write(authority.ca.issue_cert(postfix.HOST), place)
        implicit = free_port()
        service = f"{postfix.HOST}:{implicit} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n"
        peer = stack.enter_context(
            postfix.running(
                users=("bob",),
                services=service,
                **ELSEWHERE,
                smtpd_tls_security_level="may",
                smtpd_tls_cert_file=chain,
                smtpd_tls_key_file=key,
                smtpd_tls_auth_only="yes",
                smtpd_tls_received_header="yes",
                smtpd_sasl_auth_enable="yes",
                smtpd_sasl_type="dovecot",
                smtpd_sasl_path=str(accounts.socket),
                smtpd_sasl_authenticated_header="yes",
                smtpd_client_restrictions="permit_sasl_authenticated,reject",
                mynetworks="192.0.2.0/24",
            )
        )
        ours = prepared(place / "server", settings=NOWHERE)
        stack.callback(ours.close)
        ours.start()
        yield Provider(peer, implicit, ours, authority, place)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
def test_mail_goes_after_a_login(provider: Provider, mechanism: str, implicit: bool) -> None:
    port = provider.implicit if implicit else provider.peer.port
    mark = f"{mechanism}-{implicit}"
    provider.use(
        provider.login("carol", mechanism),
        smarthost=f"{provider.peer.host}:{port}",
        implicit_tls=implicit,
    )

    inject(provider.ours, mark)
    message = provider.peer.wait_message(mark)

    assert f"(Authenticated sender: carol@{DOMAIN})".encode() in message
    assert b"(using TLSv1.3" in message
    provider.ours.wait_log(f"user=carol@{DOMAIN} mechanism={mechanism}")


def test_strongest_mechanism_is_used_unless_one_is_named(provider: Provider) -> None:
    before = provider.ours.log.count("mechanism=SCRAM-SHA-256")
    provider.use(provider.login("alice"))

    inject(provider.ours, "strongest")
    provider.peer.wait_message("strongest")

    provider.ours.wait_log("mechanism=SCRAM-SHA-256", before + 1)


def test_login_depends_on_the_sender(provider: Provider) -> None:
    table = {
        "name": "carol",
        "senders": [f"carol@{DOMAIN}"],
        "smarthost": f"{provider.peer.host}:{provider.implicit}",
        "implicit_tls": True,
        "login": provider.login("carol"),
    }
    provider.use(provider.login("alice"), to=[table])

    for who in ("alice", "carol", "alice", "carol"):
        inject(provider.ours, f"from-{who}", f"{who}@{DOMAIN}")
        message = provider.peer.wait_message(f"from-{who}")
        assert f"(Authenticated sender: {who}@{DOMAIN})".encode() in message

    provider.ours.wait_log(f"hop=smtp:{provider.peer.host}:{provider.implicit};carol ")


def test_wrong_password_keeps_the_mail_until_it_is_right(provider: Provider) -> None:
    provider.use(provider.login("alice", password="wrong"))
    inject(provider.ours, "in-the-end")
    provider.ours.wait_log("refuses our login: 535 5.7.8")

    provider.use(provider.login("alice"))
    assert provider.ours.command("queue", "retry", "--all", "--yes").status == 0

    provider.peer.wait_message("in-the-end")


def test_no_password_is_sent_to_who_cannot_prove_his_name(provider: Provider) -> None:
    provider.use(provider.login("alice"), tls_names=["smtp.provider.example"])
    logins = provider.ours.log.count("logged-in")
    inject(provider.ours, "not-to-him")
    provider.ours.wait_log(f"its certificate is for {postfix.HOST}")

    assert provider.ours.log.count("logged-in") == logins
    provider.ours.command("queue", "delete", "--all", "--yes")


def test_no_password_stands_in_the_log(provider: Provider) -> None:
    for password in ACCOUNTS.values():
        assert password not in provider.ours.log
