"""TLS of a listener, by handshakes over memory: who is shown what, and what a renewal changes."""

import asyncio
import hashlib
import logging
import os
import resource
import ssl
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from notqmail.config import Config
from notqmail.mail.errors import ConfigError
from notqmail.policy.transaction import Tls
from notqmail.system.server_tls import TICKET_KEYS, Connection, ServerTls
from tests.support.clock import FakeClock, run
from tests.support.places import open_directory
from tests.support.tls import DAY, Authority, Issued, Wire, handshake, new_key, settings

AUTHORITY = Authority()
LIVE = ("{name}.pem", "{name}.key")
VERSIONS = ("TLSv1_2", "TLSv1_3")


class Home:
    """A directory of certificates, NAME.pem and NAME.key, and the configuration that names them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = FakeClock()

    def write(self, file: str, *names: str, **keys: str) -> Issued:
        issued = AUTHORITY.issue(names or (file,), **keys)
        return issued.write(self.path / f"{file}.pem", self.path / f"{file}.key")

    def settings(self, **tls: str) -> Config:
        return settings(self.path, LIVE, **tls)

    def tls(self, **tls: str) -> ServerTls:
        return ServerTls(self.settings(**tls), self.clock)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def shake(
    tls: ServerTls, name: str | None = "mx.example.org", client: ssl.SSLContext | None = None
) -> Wire[Connection]:
    return handshake(tls, client or anybody(), name)


def anybody(**keys: str) -> ssl.SSLContext:
    """A client that takes what it gets."""
    context = AUTHORITY.client(**keys)
    context.check_hostname = False
    return context


# Which certificate


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("mx.example.org", "mx.example.org"),
        ("MX.Example.ORG", "mx.example.org"),
        ("imap.example.org", "wildcard"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("a.b.example.org", "default.example"),
        ("unknown.example", "default.example"),
        ("192.0.2.1", "default.example"),
        (None, "default.example"),
    ],
)
def test_the_certificate_is_that_of_the_name_asked_for(
    home: Home, name: str | None, shown: str, version: str
) -> None:
    names = ("mx.example.org", "xn--bcher-kva.example", "default.example")
    issued = {each: home.write(each) for each in names}
    issued["wildcard"] = home.write("wildcard", "*.example.org")
    tls = home.tls(default="default.example")

    wire = shake(tls, name, anybody(newest=version))

    assert wire.shown == issued[shown].der


def test_without_a_default_it_is_that_of_the_hostname_else_the_first(home: Home) -> None:
    first = home.write("a.example")
    tls = home.tls()
    assert shake(tls, None).shown == first.der

    hostname = home.write("mx.example.org")
    tls.reload()
    assert shake(tls, None).shown == hostname.der


@pytest.mark.parametrize(
    ("asked", "clean"),
    [
        (b"mx.example.org.", "mx.example.org"),
        (b"..............x", ""),
        (b"a b\r\nx: y......", ""),
        (b"xn--0.example.x", ""),
        (b"*.example.org.x", "*.example.org.x"),
    ],
)
def test_a_name_that_is_none_is_answered_with_the_default(
    home: Home, asked: bytes, clean: str
) -> None:
    home.write("mx.example.org")
    tls = home.tls()
    wire = Wire(tls, anybody(), "imap.example.xx", change=(b"imap.example.xx", asked))

    with pytest.raises(ssl.SSLError):
        wire.handshake()  # the client knows nothing of the change

    assert wire.server.server_name == clean
    assert tls.bindings(wire.server) == tls.bindings(shake(tls).server)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("octets", [b"\xff\xfe\xff.example.xx", b"a\x00b.example.xx"])
def test_a_name_that_is_not_ascii_ends_the_handshake(home: Home, octets: bytes) -> None:
    """RFC 6066 §3 wants ASCII. Python's ssl refuses anything else before we are asked."""
    home.write("mx.example.org")
    tls = home.tls()

    with pytest.raises(ssl.SSLError):
        handshake(tls, anybody(), "aab.example.xx", change=(b"aab.example.xx", octets))

    assert shake(tls).server.server_name == "mx.example.org"


@pytest.mark.parametrize(
    ("ciphers", "shown"), [("aECDSA", "ECDSA"), ("aRSA", "RSA"), ("DEFAULT", "ECDSA")]
)
def test_ecdsa_and_rsa_are_shown_to_who_can_read_them(home: Home, ciphers: str, shown: str) -> None:
    issued = {
        kind: home.write(f"{kind}.pair", "mx.example.org", key_type=kind)
        for kind in ("ECDSA", "RSA")
    }
    tls = home.tls()

    wire = shake(tls, client=anybody(ciphers=ciphers, newest="TLSv1_2"))

    assert wire.shown == issued[shown].der


def test_of_two_of_one_kind_the_one_valid_longest_is_shown(home: Home) -> None:
    issue = AUTHORITY.issue
    for file, days in (("a", 20), ("b", 30), ("c", 10)):
        made = issue(["mx.example.org"], lasts=days * DAY)
        made.write(home.path / f"{file}.pem", home.path / f"{file}.key")

    certificate = x509.load_der_x509_certificate(shake(home.tls()).shown)

    assert certificate == x509.load_pem_x509_certificate((home.path / "b.pem").read_bytes())


# What is spoken


def test_what_a_handshake_came_to_is_told(home: Home) -> None:
    home.write("mx.example.org")
    tls = home.tls()

    wire = shake(tls, "MX.example.org")

    assert tls.describe(wire.server) == Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", "mx.example.org")
    assert wire.say(b"EHLO\r\n") == b"EHLO\r\n"


def test_before_the_handshake_there_is_nothing_to_bind_to(home: Home) -> None:
    home.write("mx.example.org")
    tls = home.tls()

    assert tls.bindings(Wire(tls, anybody()).server) == ()


def old_client(version: ssl.TLSVersion) -> ssl.SSLContext:
    client = anybody(ciphers="ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        client.minimum_version = client.maximum_version = version
    return client


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_versions_before_1_2_are_refused(home: Home, version: ssl.TLSVersion) -> None:
    home.write("mx.example.org")
    tls = home.tls()

    with pytest.raises(ssl.SSLError, match=r"UNSUPPORTED_PROTOCOL|VERSION"):
        shake(tls, client=old_client(version))


def test_the_minimum_may_be_1_3(home: Home) -> None:
    home.write("mx.example.org")
    tls = home.tls(minimum="1.3")

    with pytest.raises(ssl.SSLError, match=r"UNSUPPORTED_PROTOCOL|VERSION"):
        shake(tls, client=anybody(newest="TLSv1_2"))

    assert shake(tls).server.version() == "TLSv1.3"


@pytest.mark.parametrize("ciphers", ["kRSA", "kDHE", "ECDHE+SHA1", "ECDHE+AESCCM", "SHA256:SHA384"])
def test_ciphers_without_forward_secrecy_or_aead_are_refused(home: Home, ciphers: str) -> None:
    home.write("a.pair", "mx.example.org", key_type="RSA")
    home.write("b.pair", "mx.example.org")
    wanted = f"{ciphers}:!ECDHE+AESGCM:!ECDHE+CHACHA20:@SECLEVEL=0"

    with pytest.raises(ssl.SSLError, match=r"NO_SHARED_CIPHER|HANDSHAKE_FAILURE"):
        shake(home.tls(), client=anybody(ciphers=wanted, newest="TLSv1_2"))


def test_nothing_is_compressed_or_negotiated_again(home: Home) -> None:
    home.write("mx.example.org")

    server = shake(home.tls()).server

    assert server.compression() is None
    assert server.context.options & ssl.OP_NO_RENEGOTIATION
    assert server.context.options & ssl.OP_NO_COMPRESSION


@pytest.mark.parametrize(
    "octets", [b"EHLO client.example\r\n", b"\0" * 200, b"\x16\x03\x01\x00\x01"]
)
def test_what_is_no_handshake_ends_in_an_error_or_waits(home: Home, octets: bytes) -> None:
    home.write("mx.example.org")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = home.tls().wrap(incoming, outgoing)
    incoming.write(octets)

    with pytest.raises(ssl.SSLError):
        connection.do_handshake()


def test_an_idle_connection_holds_no_octets_and_little_memory(home: Home) -> None:
    home.write("mx.example.org")
    tls, client = home.tls(), anybody()
    kept = [shake(tls, client=client) for _ in range(10)]
    before = resident()

    kept += [shake(tls, client=client) for _ in range(40)]

    assert not any(bio.pending for wire in kept for bio in wire.bios)
    assert (resident() - before) / 40 < 2 * 40_960  # both sides are here


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


# Renewal


@pytest.mark.parametrize("version", VERSIONS)
def test_a_renewed_certificate_is_shown_and_old_sessions_go_on(home: Home, version: str) -> None:
    old = home.write("mx.example.org")
    tls = home.tls()
    before = shake(tls, client=anybody(newest=version))
    new = home.write("mx.example.org")

    assert tls.reload()
    after = shake(tls, client=anybody(newest=version))

    assert (before.shown, after.shown) == (old.der, new.der)
    assert before.say(b"MAIL FROM:<>\r\n") == b"MAIL FROM:<>\r\n"
    assert tls.bindings(before.server) == (hashlib.sha256(old.der).digest(),)


def test_a_handshake_under_way_at_a_reload_ends_well(home: Home) -> None:
    home.write("mx.example.org")
    tls = home.tls()
    wire = Wire(tls, anybody(), "mx.example.org")
    new = home.write("mx.example.org")

    tls.reload()
    wire.handshake()

    assert wire.shown == new.der


def test_without_a_change_everything_stays(home: Home) -> None:
    home.write("mx.example.org")
    tls = home.tls()
    face = shake(tls).server.context

    assert not tls.reload()

    assert shake(tls).server.context is face


def test_what_was_added_is_shown_and_the_rest_is_not_loaded_anew(home: Home) -> None:
    home.write("mx.example.org")
    tls = home.tls()
    face = shake(tls).server.context
    added = home.write("imap.example.net")

    assert tls.reload()

    assert shake(tls, "imap.example.net").shown == added.der
    assert shake(tls).server.context is face


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_resumed_after_a_reload(home: Home, version: str) -> None:
    home.write("mx.example.org")
    tls, client = home.tls(), anybody(newest=version)
    first = shake(tls, client=client)
    home.write("mx.example.org")
    tls.reload()

    second = handshake(tls, client, "mx.example.org", session=first.client.session)

    assert not first.server.session_reused
    assert second.server.session_reused
    assert second.say(b"EHLO\r\n") == b"EHLO\r\n"
    assert tls.describe(second.server).server_name == "mx.example.org"


def test_ticket_keys_grow_old(home: Home) -> None:
    home.write("mx.example.org")
    tls, client = home.tls(), anybody()
    session = shake(tls, client=client).client.session
    home.clock.advance(TICKET_KEYS - 1)
    tls.reload()
    young = handshake(tls, client, "mx.example.org", session=session)

    home.clock.advance(1)
    tls.reload()
    old = handshake(tls, client, "mx.example.org", session=session)

    assert (young.server.session_reused, old.server.session_reused) == (True, False)


def half_written(home: Home) -> None:
    (home.path / "mx.example.org.pem").write_bytes(AUTHORITY.issue(["mx.example.org"]).chain_pem)


def truncated(home: Home) -> None:
    file = home.path / "mx.example.org.pem"
    file.write_bytes(file.read_bytes()[:100])


def without_key(home: Home) -> None:
    (home.path / "mx.example.org.key").unlink()


@pytest.mark.parametrize("damage", [half_written, truncated, without_key])
def test_a_broken_renewal_is_told_once_and_tried_again(
    home: Home, damage: Callable[[Home], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    old = home.write("mx.example.org")
    tls = home.tls()
    damage(home)

    assert not tls.reload()
    assert not tls.reload()
    assert shake(tls).shown == old.der
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("certificate cannot be used, one from before stays where=")

    new = home.write("mx.example.org")
    assert tls.reload()
    assert shake(tls).shown == new.der
    damage(home)
    tls.reload()
    assert len(caplog.records) == 2


def test_without_descriptors_everything_stays(home: Home) -> None:
    old = home.write("mx.example.org")
    tls = home.tls()
    home.write("mx.example.org")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, hard))  # one to read with, none more
    try:
        reloaded = tls.reload()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert not reloaded
    assert shake(tls).shown == old.der
    assert tls.reload()


def test_a_certificate_that_is_gone_is_shown_no_more_but_the_last_one_stays(home: Home) -> None:
    home.write("mx.example.org")
    other = home.write("other.example")
    tls = home.tls()
    (home.path / "mx.example.org.pem").unlink()

    assert tls.reload()
    assert shake(tls).shown == other.der

    (home.path / "other.example.pem").unlink()
    assert not tls.reload()
    assert shake(tls).shown == other.der


def test_no_key_and_no_name_is_in_the_log_in_clear(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    home.write("mx.example.org", "mx.example.org", "*.example.org")

    home.tls()

    (record,) = caplog.records
    assert record.getMessage().startswith(f"certificate in use file={home.path}/mx.example.org.pem")
    assert record.getMessage().endswith("names=mx.example.org,*.example.org")
    assert "PRIVATE" not in caplog.text


def test_the_files_are_watched(home: Home) -> None:
    old = home.write("mx.example.org")
    tls = home.tls(reload_interval="1h")
    shown = []

    async def watch() -> None:
        watching = asyncio.create_task(tls.watch())
        await asyncio.sleep(3599)
        shown.append(shake(tls).shown)
        await asyncio.sleep(2)
        shown.append(shake(tls).shown)
        watching.cancel()

    new = home.write("mx.example.org")
    run(watch())

    assert shown == [old.der, new.der]


AFTER_ROOT = """
import sys
from pathlib import Path
from notqmail.config import load
from notqmail.system.privileges import become, look_up
from notqmail.system.server_tls import ServerTls
home = Path(sys.argv[1])
tls = ServerTls(load(home / "notqmail.toml"))
for file in home.glob("renewed.*"):
    file.replace(home / f"open{file.suffix}")
become(look_up("nobody"))
print(tls.reload())
"""


@pytest.mark.root
def test_after_root_what_may_be_read_is_renewed_and_the_rest_stays() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    with open_directory() as directory:
        home = Home(directory)
        for file in ("open", "closed/mx.example.org", "renewed"):
            home.write(file, "mx.example.org")
            (directory / f"{file}.key").chmod(0o644)
        (directory / "closed").chmod(0o700)
        tables = "".join(
            f'[[tls.certificate]]\nchain = "{chain}"\nkey = "{key}"\n'
            for chain, key in (("open.pem", "open.key"), ("closed/{name}.pem", "closed/{name}.key"))
        )
        (directory / "notqmail.toml").write_text(f'hostname = "mx.example.org"\n{tables}')

        ended = subprocess.run(
            [sys.executable, "-c", AFTER_ROOT, str(directory)],
            capture_output=True,
            text=True,
            check=True,
        )

    assert ended.stdout == "True\n"
    assert ended.stderr.count("certificate cannot be used, one from before stays") == 1
    assert f"{directory}/closed cannot be read: Permission denied" in ended.stderr


# A new configuration


def test_a_named_certificate_that_cannot_be_used_is_an_error(home: Home) -> None:
    with pytest.raises(ConfigError, match=r"tls.certificate\[0\].chain: there is no .*/cert.pem"):
        ServerTls(settings(home.path, ("cert.pem", "key.pem")))


def test_no_certificate_at_all_is_an_error(home: Home) -> None:
    with pytest.raises(ConfigError, match="nothing fits"):
        home.tls()
    with pytest.raises(ConfigError, match="no certificate is named"):
        ServerTls(settings(home.path))


def test_a_new_configuration_is_adopted_or_changes_nothing(home: Home) -> None:
    old = home.write("mx.example.org")
    other = home.write("other.example")
    tls, client = home.tls(), anybody()
    session = shake(tls, client=client).client.session

    with pytest.raises(ConfigError):
        tls.adopt(settings(home.path, LIVE, ("cert.pem", "key.pem"), default="other.example"))
    assert shake(tls, None).shown == old.der

    tls.adopt(home.settings(default="other.example"))
    assert shake(tls, None).shown == other.der
    resumed = handshake(tls, client, "mx.example.org", session=session)
    assert resumed.server.session_reused


def test_a_named_certificate_in_use_may_have_become_unreadable(home: Home) -> None:
    """Its key is root's, and the server is root no more."""
    issued = AUTHORITY.issue(["mx.example.org"])
    issued.write(home.path / "cert.pem", home.path / "key.pem")
    config = settings(home.path, ("cert.pem", "key.pem"))
    tls = ServerTls(config)
    (home.path / "key.pem").unlink()

    tls.adopt(config)

    assert shake(tls).shown == issued.der


def test_another_minimum_holds_for_new_connections(home: Home) -> None:
    home.write("mx.example.org")
    tls = home.tls()

    tls.adopt(home.settings(minimum="1.3"))

    with pytest.raises(ssl.SSLError):
        shake(tls, client=anybody(newest="TLSv1_2"))


# Channel bindings


@pytest.mark.parametrize("kind", ["ECDSA", "RSA"])
def test_the_bindings_are_those_of_all_certificates_of_the_name(home: Home, kind: str) -> None:
    issued = [
        home.write(f"{each}.pair", "mx.example.org", key_type=each) for each in ("ECDSA", "RSA")
    ]
    home.write("other.example")
    tls = home.tls()

    wire = shake(tls, client=anybody(ciphers=f"a{kind}", newest="TLSv1_2"))

    bindings = tls.bindings(wire.server)
    assert hashlib.sha256(wire.shown).digest() in bindings
    assert sorted(bindings) == sorted(hashlib.sha256(each.der).digest() for each in issued)


def test_who_resumes_may_have_been_shown_an_earlier_certificate(home: Home) -> None:
    """A client binds to the certificate it has seen, and one that resumes is shown none."""
    old = home.write("mx.example.org")
    tls, client = home.tls(), anybody()
    session = shake(tls, client=client).client.session
    new = home.write("mx.example.org")
    tls.reload()

    fresh = shake(tls, client=client)
    resumed = handshake(tls, client, "mx.example.org", session=session)

    digests = [hashlib.sha256(each.der).digest() for each in (new, old)]
    assert tls.bindings(fresh.server) == (digests[0],)
    assert tls.bindings(resumed.server) == (digests[0], digests[1])


def test_a_certificate_without_a_hash_has_no_binding(home: Home) -> None:
    ed25519 = Authority(new_key("Ed25519"))
    ed25519.issue(["mx.example.org"]).write(home.path / "a.pem", home.path / "a.key")
    tls = home.tls()
    client = ed25519.client()

    assert tls.bindings(shake(tls, client=client).server) == ()


# Client certificates

ALICE = AUTHORITY.issue(["alice@example.org"], usage=ExtendedKeyUsageOID.CLIENT_AUTH)


def with_ca(home: Home) -> ServerTls:
    home.write("mx.example.org")
    (home.path / "ca.crt").write_bytes(AUTHORITY.pem)
    return home.tls(client_ca="ca.crt")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("submission", ("alice@example.org",)),
        ("submissions", ("alice@example.org",)),
        ("mx", ()),
    ],
)
def test_who_logs_in_may_show_a_certificate(
    home: Home, kind: str, names: tuple[str, ...], version: str
) -> None:
    tls = with_ca(home)
    client = ALICE.show(anybody(newest=version))

    wire = handshake(tls, client, "mx.example.org", kind=kind)

    assert tls.describe(wire.server).client_names == names


def test_nobody_must_show_a_certificate(home: Home) -> None:
    tls = with_ca(home)

    wire = handshake(tls, anybody(), "mx.example.org", kind="submission")

    assert tls.describe(wire.server).client_names == ()


def test_without_an_authority_nobody_is_asked(home: Home) -> None:
    home.write("mx.example.org")
    tls = home.tls()

    wire = handshake(tls, ALICE.show(anybody()), "mx.example.org", kind="submission")

    assert tls.describe(wire.server).client_names == ()


@pytest.mark.parametrize(
    "stranger",
    [
        Authority().issue(["alice@example.org"], usage=ExtendedKeyUsageOID.CLIENT_AUTH),
        AUTHORITY.issue(["alice@example.org"], usage=ExtendedKeyUsageOID.CLIENT_AUTH, lasts=-DAY),
        AUTHORITY.issue(["alice@example.org"], usage=ExtendedKeyUsageOID.SERVER_AUTH),
    ],
    ids=["another authority", "expired", "not for clients"],
)
def test_a_certificate_that_is_not_valid_ends_the_handshake_where_one_is_asked_for(
    home: Home, stranger: Issued
) -> None:
    tls = with_ca(home)
    client = stranger.show(anybody())

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tls, client, "mx.example.org", kind="submission")

    assert handshake(tls, client, "mx.example.org", kind="mx").server.version() == "TLSv1.3"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_resumed_session_keeps_its_client_certificate(home: Home, version: str) -> None:
    tls, client = with_ca(home), ALICE.show(anybody(newest=version))
    first = handshake(tls, client, "mx.example.org", kind="submission")
    keys = {"session": first.client.session}

    second = handshake(tls, client, "mx.example.org", kind="submissions", **keys)
    elsewhere = handshake(tls, client, "mx.example.org", kind="mx", **keys)

    assert second.server.session_reused
    assert tls.describe(second.server).client_names == ("alice@example.org",)
    assert not elsewhere.server.session_reused


def test_another_authority_ends_the_sessions_of_the_old_one(home: Home) -> None:
    tls, client = with_ca(home), ALICE.show(anybody())
    first = handshake(tls, client, "mx.example.org", kind="submission")
    (home.path / "ca.crt").write_bytes(Authority().pem)
    tls.reload()

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tls, client, "mx.example.org", kind="submission", session=first.client.session)


def test_an_authority_that_cannot_be_read_is_an_error_at_the_start_only(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    tls = with_ca(home)
    (home.path / "ca.crt").unlink()

    tls.reload()

    wire = handshake(tls, ALICE.show(anybody()), "mx.example.org", kind="submission")
    assert tls.describe(wire.server).client_names == ("alice@example.org",)
    assert "tls.client_ca" in caplog.text
    with pytest.raises(ConfigError, match=r"tls.client_ca"):
        home.tls(client_ca="ca.crt")
