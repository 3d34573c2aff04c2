"""init: what it makes, what it says, and that it never overwrites."""

import os
import pwd
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from notqmail.cli.home import Home
from notqmail.config import load
from notqmail.system import accounts_edit, passwords
from tests.support.commands import init, notqmail

REQUIRED = ("--hostname", "mx.example.org", "--domain", "example.org")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_development_profile_is_for_loopback_only(tmp_path: Path) -> None:
    config = load(init(tmp_path / "x"))

    listen = config.listen[0]
    assert [each.kind for each in config.listen] == ["mx", "submissions", "submission"]
    for each, port in zip(config.listen, (2025, 2465, 2587), strict=True):
        assert each.bind[0] == f"127.0.0.1:{port}"
        assert each.bind[1:] in ((), (f"[::1]:{port}",))
    assert (config.auth.ban.failures, config.auth.ban.delay) == (0, 0)
    assert config.web.bind[0] == "127.0.0.1:2080"
    assert listen.limits.connections == 12000
    assert listen.limits.connections_per_ipv4 == listen.limits.connections_per_ipv6 == 12000
    assert config.user == ""


def test_the_port_base_moves_every_port(tmp_path: Path) -> None:
    config = load(init(tmp_path / "x", "--port-base", "40000"))

    binds = [bind for each in config.listen for bind in each.bind]
    ports = {bind.rpartition(":")[2] for bind in (*binds, *config.web.bind)}
    assert ports == {"40025", "40465", "40587", "40080"}


def test_the_real_profile_listens_where_mail_comes(tmp_path: Path) -> None:
    notqmail("init", tmp_path / "x", *REQUIRED)

    config = load(tmp_path / "x" / "notqmail.toml")
    assert [each.bind[0] for each in config.listen] == [
        "0.0.0.0:25",
        "0.0.0.0:465",
        "0.0.0.0:587",
    ]
    assert config.auth.ban.failures > 0
    assert config.web.bind[0] == "127.0.0.1:8025"
    assert config.listen[0].limits.connections == 2000
    assert (tmp_path / "x" / "tls" / "key.pem").exists()


def test_what_is_private_is_private(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        home = init(tmp_path / "x").parent
    finally:
        os.umask(before)

    assert mode(home) == 0o755
    assert mode(home / "notqmail.toml") == 0o644
    assert mode(home / "users") == mode(home / "aliases") == 0o600
    assert mode(home / "app-passwords") == 0o600
    assert mode(home / "tls") == 0o700
    assert mode(home / "tls" / "key.pem") == 0o600
    assert mode(home / "data") == 0o711
    assert mode(home / "data" / "drop") == 0o1733


def test_a_made_up_password_is_told_once_and_kept_only_hashed(tmp_path: Path) -> None:
    ended = notqmail("init", tmp_path / "x", *REQUIRED, "--user", "alice@example.org", "--dev")

    (line,) = [line for line in ended.out.splitlines() if line.startswith("password of")]
    password = line.split()[3]
    assert ended.out.count(password) == 1
    for path in (tmp_path / "x").rglob("*"):
        assert not path.is_file() or password.encode() not in path.read_bytes()
    (account,) = accounts_edit.list_users(tmp_path / "x" / "users")
    assert passwords.verify(password, account.argon2)
    assert account.scram


def test_a_given_password_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("correct horse\nsecond line\n")

    ended = notqmail(
        *("init", tmp_path / "x", *REQUIRED, "--user", "alice@example.org"),
        *("--password-file", tmp_path / "secret"),
    )

    assert ended.status == 0
    assert "correct horse" not in ended.out + ended.err
    (account,) = accounts_edit.list_users(tmp_path / "x" / "users")
    assert passwords.verify("correct horse", account.argon2)


def test_a_password_comes_from_standard_input(tmp_path: Path) -> None:
    arguments = ("--user", "a@example.org", "--password-file", "-")
    notqmail("init", tmp_path / "x", *REQUIRED, *arguments, given=b"correct horse\r\n")

    (account,) = accounts_edit.list_users(tmp_path / "x" / "users")
    assert passwords.verify("correct horse", account.argon2)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "the first line is empty"), (b"\xff\n", "not UTF-8"), (b"a\x07b\n", "cannot be typed")],
)
def test_a_password_file_that_will_not_do_is_refused(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    (tmp_path / "secret").write_bytes(content)
    arguments = ("--user", "a@example.org", "--password-file", tmp_path / "secret")

    ended = notqmail("init", tmp_path / "x", *REQUIRED, *arguments)

    assert ended.status == 2
    assert sentence in ended.err
    assert not (tmp_path / "x").exists()


def test_the_certificate_names_host_and_domains_and_fits_its_key(tmp_path: Path) -> None:
    tls = init(tmp_path / "x").parent / "tls"

    certificate = x509.load_pem_x509_certificate((tls / "cert.pem").read_bytes())
    key = load_pem_private_key((tls / "key.pem").read_bytes(), None)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mx.example.org", "example.org"]
    assert certificate.public_key() == key.public_key()  # type: ignore[union-attr]


def test_the_records_to_publish_are_told(tmp_path: Path) -> None:
    ended = notqmail("init", tmp_path / "x", *REQUIRED, "--domain", "exämple.net", "--dev")

    records = [line.split(None, 3) for line in ended.out.splitlines() if " IN " in line]
    assert ["example.org.", "IN", "MX", "10 mx.example.org."] in records
    assert ["xn--exmple-cua.net.", "IN", "MX", "10 mx.example.org."] in records
    assert ["xn--exmple-cua.net.", "IN", "TXT", '"v=spf1 mx -all"'] in records
    assert ["mx.example.org.", "IN", "TXT", '"v=spf1 a -all"'] in records
    assert [kind for _, _, kind, _ in records if kind in ("A", "AAAA")] == ["A", "AAAA"]


def test_what_comes_next_is_told(tmp_path: Path) -> None:
    ended = notqmail("init", tmp_path / "a b", *REQUIRED, "--dev")

    assert f"notqmail serve -c '{tmp_path}/a b/notqmail.toml'" in ended.out
    assert "--server 127.0.0.1:2587 --tls --auth-user" in ended.out
    assert "self-signed" in notqmail("init", tmp_path / "y", *REQUIRED).out


def test_the_first_user_is_postmaster(tmp_path: Path) -> None:
    assert load(init(tmp_path / "x", "--user", "bob@example.org")).postmaster == "alice@example.org"


@pytest.mark.parametrize(
    "name", ["notqmail.toml", "users", "app-passwords", "aliases", "data", "tls"]
)
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / name).write_text("mine")

    ended = notqmail("init", tmp_path / "x", *REQUIRED, "--dev")

    assert ended.status == 2
    assert f"{tmp_path}/x/{name}: it is there already" in ended.err
    assert "name another directory" in ended.err
    assert [path.name for path in (tmp_path / "x").iterdir()] == [name]
    assert (tmp_path / "x" / name).read_text() == "mine"


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "users").symlink_to(tmp_path / "elsewhere")

    assert notqmail("init", tmp_path / "x", *REQUIRED).status == 2
    assert not (tmp_path / "elsewhere").exists()


def test_twice_is_refused(tmp_path: Path) -> None:
    before = init(tmp_path / "x").read_bytes()

    assert notqmail("init", tmp_path / "x", *REQUIRED, "--dev").status == 2
    assert (tmp_path / "x" / "notqmail.toml").read_bytes() == before


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    ended = notqmail("init", tmp_path / "file" / "x", *REQUIRED)

    assert ended.status == 2
    assert "name a directory that can be written" in ended.err


def test_a_directory_that_is_there_is_filled(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir(0o750)
    (tmp_path / "x" / "README").touch()

    assert notqmail("init", tmp_path / "x", *REQUIRED).status == 0
    assert mode(tmp_path / "x") == 0o750


def test_half_an_installation_is_taken_back(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    user = f"{'a' * 64}@example.org"

    ended = notqmail("init", tmp_path / "x", *REQUIRED, "--user", user, "--user", user.upper())

    assert ended.status == 2
    assert "is there already" in ended.err
    assert list((tmp_path / "x").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--hostname", "mx", "--domain", "example.org"], "'mx' is not fully qualified"),
        ([*REQUIRED, "--user", "alice@example.com"], "add --domain example.com"),
        ([*REQUIRED, "--user", "alice"], "has no domain"),
        ([*REQUIRED, "--user", "a b@example.org"], "not a dot-string"),
        ([*REQUIRED, "--port-base", "4000"], "--port-base is for --dev"),
        ([*REQUIRED, "--dev", "--port-base", "65000"], "is not in the range"),
        (["--hostname", "mx.example.org"], "Missing option '--domain'"),
    ],
)
def test_wrong_words_make_nothing(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    ended = notqmail("init", tmp_path / "x", *arguments)

    assert (ended.status, sentence in ended.err, (tmp_path / "x").exists()) == (2, True, False)


@pytest.mark.root
def test_what_the_server_reads_belongs_to_whom_it_becomes(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    nobody = pwd.getpwnam("nobody")
    home = Home(
        directory=tmp_path / "x",
        hostname="mx.example.org",
        domains=["example.org"],
        accounts={},
        binds={"mx": ["127.0.0.1:25"]},
        web=[],
        dev=True,
        user="nobody",
    )

    home.make()

    assert load(tmp_path / "x" / "notqmail.toml").user == "nobody"
    for name in ("notqmail.toml", "users", "app-passwords", "aliases", "tls", "tls/key.pem"):
        assert (tmp_path / "x" / name).stat().st_uid == nobody.pw_uid
