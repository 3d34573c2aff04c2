"""W7: mail that passes every check, and the judgement of what a server says of it."""

from base64 import b64decode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.bench import authentic, companions
from tests.bench.peer import Checks, Endpoint, Failed, Figures, Unavailable
from tests.bench.small_server import SmallServer
from tests.bench.workloads import w7
from tests.bench.workloads.w7 import W7
from tests.support.dns import Zones

PASSED = b"""\
Authentication-Results: mx.example; dmarc=pass (p=reject dis=none) header.from=x.example
Authentication-Results: mx.example;
\tdkim=pass (2048-bit key) header.d=x.example;
\tdkim-atps=neutral
Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=127.0.0.1

body dkim=fail
"""


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    authentic.new_key(path)
    return path


def test_a_key_is_for_root_only(key: Path) -> None:
    assert key.stat().st_mode & 0o777 == 0o600


def test_the_signature_is_that_of_the_published_key(key: Path) -> None:
    records = Zones(authentic.zone(key)).look_up(
        f"{authentic.SELECTOR}._domainkey.{authentic.DOMAIN}", "TXT"
    )
    (text,) = records.data("TXT")
    public = load_der_public_key(b64decode(text.replace('" "', "").strip('"').partition("p=")[2]))
    assert isinstance(public, RSAPublicKey)

    field, header = authentic.signed(b"From: a\nSubject:  b\n\nbody\n", key).split(b"\nFrom:", 1)

    unsigned, _, signature = field.partition(b"; b=")
    covered = b"from:a\r\nsubject:b\r\n" + b"dkim-signature:"
    covered += unsigned.partition(b": ")[2] + b"; b="
    public.verify(b64decode(signature), covered, PKCS1v15(), SHA256())
    assert header.endswith(b"body\n")


def test_the_message_has_about_the_size_that_is_asked_for() -> None:
    assert 4000 < len(authentic.message(4096)) <= 4096


def test_what_a_server_says_is_read_from_the_header_alone() -> None:
    assert authentic.results(PASSED) == {"spf": "pass", "dkim": "pass", "dmarc": "pass"}


def test_spf_may_stand_in_authentication_results() -> None:
    said = b"Authentication-Results: mx; spf=pass smtp.mailfrom=x; dkim=fail; dmarc=none\r\n\r\n"

    assert authentic.results(said) == {"spf": "pass", "dkim": "fail", "dmarc": "none"}


def test_delivered_mail_that_passed_is_a_measurement(tmp_path: Path) -> None:
    (tmp_path / "1").write_bytes(PASSED)

    w7.check(tmp_path)


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (PASSED.replace(b"dkim=pass", b"dkim=fail", 1), "spf=pass, dmarc=pass, dkim=fail"),
        (b"Subject: x\n\ny\n", "says nothing"),
    ],
)
def test_delivered_mail_that_did_not_is_a_failure(
    message: bytes, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "1").write_bytes(message)

    with pytest.raises(Failed, match=complaint):
        w7.check(tmp_path)


def test_both_ways_together_are_all_messages_by_all_the_time() -> None:
    figures = w7.both(Figures(100, 8, 5), Figures(50, 4, 6))

    assert figures.rate == pytest.approx(200 / 3)  # 100 messages in 1 s, 100 in 2 s
    assert figures.cpu == 6
    assert figures.memory == 6
    assert figures.more["out, messages/s"] == 50


def test_a_server_for_which_nothing_was_set_up_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="nobody has set up"):
        W7().measure(SmallServer(tmp_path, Endpoint("127.0.0.1", 1)))


def test_the_resolver_is_the_machine_s_first(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# nameserver 192.0.2.9\nsearch x\nnameserver 127.0.53.53\nnameserver ::1\n")

    assert companions.resolver(file) == "127.0.53.53"


def test_a_machine_without_a_resolver_is_told_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.touch()

    with pytest.raises(Unavailable, match="names no server"):
        companions.resolver(file)


def test_postfix_is_told_of_its_companions(key: Path, tmp_path: Path) -> None:
    beside = companions.Companions(
        tmp_path, "mx.x.example", "x.example", Checks("s", key), Endpoint("127.0.0.2", 2587)
    )

    assert f"unix:{tmp_path}/run/opendkim" in beside.settings["smtpd_milters"]
    assert "127.0.0.2:2587 inet n - n - - smtpd\n  -o " in beside.services
