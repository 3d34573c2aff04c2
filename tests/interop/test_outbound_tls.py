"""TLS to Postfix, as its certificate comes and goes: good, self-signed, expired, and a handshake that fails."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support import postfix
from tests.support.certificates import Authority, self_signed, write
from tests.support.dns import Zones
from tests.support.dns_thread import dns_serving
from tests.support.places import open_directory
from tests.support.postfix import Postfix
from tests.support.server import DOMAIN, Server, prepared

pytestmark = pytest.mark.interop

MX = "mx.postfix.test"
BOB = "bob@postfix.test"
ALICE, STRICT = f"alice@{DOMAIN}", f"strict@{DOMAIN}"
ZONES = Zones({"postfix.test": {"MX": f"10 {MX}"}, MX: {"A": postfix.HOST}})


@dataclass(frozen=True)
class Pair:
    """Our server, and a Postfix whose certificate can be changed."""

    ours: Server
    peer: Postfix
    authority: Authority
    place: Path

    def turn(self, certificate: Callable[["Pair"], object], protocols: str = ">=TLSv1.2") -> None:
        """Give Postfix another certificate."""
        certificate(self)
        self.peer.stop()
        self.peer.settings = {**self.peer.settings, "smtpd_tls_protocols": protocols}
        self.peer.start()

    def send(self, mark: str, sender: str = ALICE) -> None:
        content = f"Subject: {mark}\n\n{mark}\n".encode()
        given = self.ours.command("inject", "-f", sender, BOB, given=content)
        assert given.status == 0, given.output

    def why(self) -> str:
        return self.ours.command("why", BOB, "--limit", "2").output

    def tls(self, *words: str) -> str:
        return self.ours.command("tls", *words).output

    def retry(self) -> None:
        assert self.ours.command("queue", "retry", "--all", "--yes").status == 0


def good(pair: Pair) -> None:
    write(pair.authority.ca.issue_cert(MX), pair.place)


def expired(pair: Pair) -> None:
    write(pair.authority.expired_certificate(MX), pair.place)


def signed_by_itself(pair: Pair) -> None:
    self_signed(pair.place, MX)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(open_directory())
        authority = Authority.made(directory)
        chain, key = write(authority.ca.issue_cert(MX), directory)
        peer = stack.enter_context(
            postfix.running(
                smtpd_tls_security_level="may",
                smtpd_tls_cert_file=chain,
                smtpd_tls_key_file=key,
                smtpd_tls_received_header="yes",
            )
        )
        nameserver = stack.enter_context(dns_serving(ZONES))
        ours = prepared(directory / "server")
        ours.configure(
            {
                "dns.servers": [nameserver],
                "outbound.port": peer.port,
                "outbound.ca_file": authority.file,
                "outbound.tls_retry": "0s",
                "outbound.idle_connections": 0,
                "outbound.to": [{"name": "strict", "senders": [STRICT], "tls": "verify"}],
            }
        )
        stack.callback(ours.close)
        ours.start()
        yield Pair(ours, peer, authority, directory)


def test_good_certificate_is_verified_and_told_everywhere(pair: Pair) -> None:
    pair.turn(good)
    pair.send("good-one")

    message = pair.peer.wait_message("good-one")

    pair.ours.wait_idle()
    assert b"(using TLSv1.3 with cipher " in message
    assert f"TLS: TLSv1.3 TLS_AES_256_GCM_SHA384 verified: as {MX}" in pair.why()
    assert f"tls='TLSv1.3 TLS_AES_256_GCM_SHA384 verified: as {MX}'" in pair.ours.log
    assert pair.tls("list").splitlines()[1].startswith("postfix.test ")
    web = f"http://127.0.0.1:{pair.ours.base + 80}/metrics"
    with urlopen(web, timeout=10) as answer:
        assert b'notqmail_delivery_tls_total{result="verified"} ' in answer.read()


@pytest.mark.parametrize(
    ("certificate", "protocols", "fault", "then"),
    [
        (signed_by_itself, ">=TLSv1.2", "self-signed certificate", "not verified: self-signed"),
        (expired, ">=TLSv1.2", "certificate has expired", "not verified: certificate has expired"),
        (good, "<=TLSv1.1", "", "in clear: TLS failed: "),
    ],
    ids=["self-signed", "expired", "failing"],
)
def test_domain_is_held_to_its_good_certificate_until_that_is_forgotten(
    pair: Pair, certificate: Callable[[Pair], object], protocols: str, fault: str, then: str
) -> None:
    pair.turn(good)
    pair.send(f"before-{then}")
    pair.peer.wait_message(f"before-{then}")
    pair.ours.wait_idle()

    pair.turn(certificate, protocols)
    delayed = pair.ours.log.count(" delayed m=")
    pair.send(f"after-{then}")
    pair.ours.wait_log(" delayed m=", delayed + 1)

    why = pair.why()
    assert "451 4.7.5 postfix.test has shown a valid certificate before" in why
    assert fault in why
    assert "notqmail tls forget postfix.test" in why
    assert not [m for m in pair.peer.messages("bob") if b"after-" in m and then.encode() in m]

    assert pair.tls("forget", "postfix.test") == "postfix.test: forgotten\n"
    pair.retry()
    pair.peer.wait_message(f"after-{then}")
    pair.ours.wait_idle()

    assert f"TLS: {'' if 'clear' in then else 'TLSv1.3 '}" in pair.why()
    assert then in pair.why()


def test_memory_survives_a_restart(pair: Pair) -> None:
    pair.turn(good)
    pair.send("before-restart")
    pair.peer.wait_message("before-restart")
    pair.ours.wait_idle()

    pair.ours.stop()
    assert "postfix.test" in pair.tls("list")  # from the file, while no server runs
    pair.ours.restart()

    assert "postfix.test" in pair.tls("list")


def test_floor_is_not_undercut(pair: Pair) -> None:
    pair.turn(signed_by_itself)
    pair.tls("forget", "postfix.test")
    pair.send("strictly", STRICT)
    pair.ours.wait_log("tls-refused host=mx.postfix.test domain=postfix.test")
    pair.ours.wait_log("hop=smtp:postfix.test;strict ")

    assert 'TLS: not protected enough: [[outbound.to]] strict has tls = "verify"; ' in pair.why()

    pair.turn(good)
    pair.retry()
    pair.peer.wait_message("strictly")
