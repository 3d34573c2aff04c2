"""Certificate files: patterns as certbot and acme.sh lay them out, and what is said of what cannot be used."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import Encoding

from notqmail.config import Config
from notqmail.mail.errors import ConfigError
from notqmail.system.certificate_files import Reading, read_all, read_client_ca, take_up
from notqmail.system.certificates import weakness
from tests.support.tls import Authority, key_pem, new_key, settings

AUTHORITY = Authority()
ISSUED = AUTHORITY.issue(["mx.example.org"])
PLAIN = ("cert.pem", "key.pem")
CERTBOT = ("live/{name}/fullchain.pem", "live/{name}/privkey.pem")
ACME_RSA = ("acme/{name}/fullchain.cer", "acme/{name}/{name}.key")
ACME_ECC = ("acme/{name}_ecc/fullchain.cer", "acme/{name}_ecc/{name}.key")


def write(home: Path, files: tuple[str, str] = PLAIN, name: str = "", **keys: str) -> None:
    issued = AUTHORITY.issue([name or "mx.example.org"], **keys)
    chain, key = (home / path.replace("{name}", name) for path in files)
    issued.write(chain, key)


def names(reading: Reading) -> list[str]:
    return [name for pair in reading.pairs for name in pair.names]


def trouble(config: Config) -> ConfigError:
    reading = read_all(config)
    assert reading.pairs == ()
    (only,) = reading.troubles
    assert only.error.remedy
    return only.error


def test_a_plain_pair_is_read(tmp_path: Path) -> None:
    write(tmp_path)

    reading = read_all(settings(tmp_path, PLAIN))

    assert reading.troubles == ()
    (pair,) = reading.pairs
    assert (pair.chain, pair.key) == (tmp_path / "cert.pem", tmp_path / "key.pem")
    assert (pair.names, pair.key_type) == (("mx.example.org",), "ECDSA")


def test_chain_and_key_may_be_one_file(tmp_path: Path) -> None:
    (tmp_path / "both.pem").write_bytes(ISSUED.key_pem + ISSUED.chain_pem)

    assert names(read_all(settings(tmp_path, ("both.pem", "both.pem")))) == ["mx.example.org"]


def test_a_key_is_in_no_text(tmp_path: Path) -> None:
    write(tmp_path)

    assert "PRIVATE" not in repr(read_all(settings(tmp_path, PLAIN)))


def test_certbot_has_a_directory_for_each_name(tmp_path: Path) -> None:
    for name in ("mx.example.org", "example.net"):
        write(tmp_path, CERTBOT, name)
    (tmp_path / "live" / "README").write_text("This directory contains your keys and certificates.")

    reading = read_all(settings(tmp_path, CERTBOT))

    assert (names(reading), reading.troubles) == (["example.net", "mx.example.org"], ())


def test_acme_sh_names_key_and_directory_alike(tmp_path: Path) -> None:
    write(tmp_path, ACME_RSA, "mx.example.org", key_type="RSA")
    write(tmp_path, ACME_ECC, "mx.example.org")
    (tmp_path / "acme" / "ca" / "letsencrypt").mkdir(parents=True)

    reading = read_all(settings(tmp_path, ACME_RSA, ACME_ECC))

    assert [pair.key_type for pair in reading.pairs] == ["RSA", "ECDSA"]
    assert reading.troubles == ()


def test_a_name_may_stand_in_a_file_name_twice(tmp_path: Path) -> None:
    pattern = ("{name}-{name}.pem", "{name}.key")
    write(tmp_path, pattern, "a.example")
    (tmp_path / "b.example-c.example.pem").write_bytes(ISSUED.chain_pem)

    assert names(read_all(settings(tmp_path, pattern))) == ["a.example"]


def test_all_names_may_have_one_key(tmp_path: Path) -> None:
    files = ("{name}.pem", "key.pem")
    write(tmp_path, files, "a.example")

    assert names(read_all(settings(tmp_path, files))) == ["a.example"]


def test_files_that_two_patterns_fit_are_read_once(tmp_path: Path) -> None:
    write(tmp_path, CERTBOT, "mx.example.org")

    reading = read_all(settings(tmp_path, CERTBOT, ("live/mx.{name}/fullchain.pem", CERTBOT[1])))

    assert len(reading.pairs) == 1


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ({"cert.pem": None}, "there is no {home}/cert.pem"),
        ({"key.pem": None}, "there is no {home}/key.pem"),
        ({"cert.pem": b""}, "{home}/cert.pem holds no certificate that can be read"),
        ({"cert.pem": ISSUED.chain_pem[:200]}, "{home}/cert.pem holds no certificate"),
        ({"cert.pem": ISSUED.der}, "{home}/cert.pem holds no certificate"),
        ({"cert.pem": ISSUED.key_pem}, "{home}/cert.pem holds no certificate"),
        ({"key.pem": b""}, "{home}/key.pem or {home}/cert.pem is broken"),
        ({"key.pem": ISSUED.key_pem[:-40]}, "{home}/key.pem or {home}/cert.pem is broken"),
        ({"key.pem": key_pem(ISSUED.key, "secret")}, "or the key has a passphrase"),
        ({"key.pem": key_pem(new_key())}, "{home}/key.pem does not belong to {home}/cert.pem"),
        ({"key.pem": key_pem(new_key("RSA"))}, "{home}/key.pem does not belong to"),
    ],
)
def test_what_cannot_be_used_is_said(
    tmp_path: Path, broken: dict[str, bytes | None], problem: str
) -> None:
    ISSUED.write(tmp_path / "cert.pem", tmp_path / "key.pem")
    for name, octets in broken.items():
        (tmp_path / name).unlink()
        if octets is not None:
            (tmp_path / name).write_bytes(octets)

    error = trouble(settings(tmp_path, PLAIN))

    assert error.where.startswith(f"{tmp_path}/notqmail.toml: tls.certificate[0].")
    assert problem.replace("{home}", str(tmp_path)) in error.problem


def test_a_key_type_that_tls_has_no_use_for_is_said(tmp_path: Path) -> None:
    key: object = dsa.generate_private_key(1024)
    AUTHORITY.issue(["a.example"], key=key).write(  # type: ignore[arg-type]
        tmp_path / "cert.pem", tmp_path / "key.pem"
    )

    assert "a type not for TLS" in trouble(settings(tmp_path, PLAIN)).problem


def test_a_short_key_is_said_or_seen(tmp_path: Path) -> None:
    """How long a key must be, the distribution has decided when it built OpenSSL."""
    write(tmp_path, key_type="RSA-1024")

    reading = read_all(settings(tmp_path, PLAIN))

    said = [each.error.problem for each in reading.troubles]
    seen = [weakness(pair.leaf) for pair in reading.pairs]
    assert said == [f"the key of {tmp_path}/cert.pem is too short"] or "1024" in seen[0]


def test_what_may_not_be_read_is_said(tmp_path: Path) -> None:
    """As root nothing is forbidden: a directory in the place of a file is, to everybody."""
    write(tmp_path)
    (tmp_path / "key.pem").unlink()
    (tmp_path / "key.pem").mkdir()

    error = trouble(settings(tmp_path, PLAIN))

    assert error.problem.startswith(f"{tmp_path}/key.pem cannot be read: ")
    assert "docs/how-to/certificates.md" in error.remedy


def test_of_a_pattern_the_others_still_work(tmp_path: Path) -> None:
    for name in ("a.example", "b.example", "c.example"):
        write(tmp_path, CERTBOT, name)
    (tmp_path / "live" / "a.example" / "privkey.pem").unlink()
    (tmp_path / "live" / "c.example" / "fullchain.pem").unlink()
    (tmp_path / "live" / "c.example" / "fullchain.pem").symlink_to("nowhere")

    reading = read_all(settings(tmp_path, CERTBOT))

    assert names(reading) == ["b.example"]
    assert [each.fatal for each in reading.troubles] == [False, False]
    assert "a.example/privkey.pem" in reading.troubles[0].error.problem
    assert "c.example/fullchain.pem" in reading.troubles[1].error.problem


@pytest.mark.parametrize("made", ["", "live", "live/README"])
def test_a_pattern_that_fits_nothing_is_said(tmp_path: Path, made: str) -> None:
    (tmp_path / made).mkdir(parents=True, exist_ok=True)

    error = trouble(settings(tmp_path, CERTBOT))

    assert error.where.endswith("tls.certificate[0].chain")
    assert error.problem.startswith(("there is no", "nothing fits"))


def test_a_directory_that_cannot_be_listed_is_said(tmp_path: Path) -> None:
    (tmp_path / "live").write_text("no directory")

    assert "live cannot be read" in trouble(settings(tmp_path, CERTBOT)).problem


def test_what_cannot_be_looked_at_is_not_taken_for_absent(tmp_path: Path) -> None:
    pattern = ("live/{name}/" + "x" * 300, "key.pem")  # ENAMETOOLONG, as EACCES would be
    (tmp_path / "live" / "a.example").mkdir(parents=True)

    assert "cannot be read" in trouble(settings(tmp_path, pattern)).problem


def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    for name in ("a.example", "b.example"):
        write(tmp_path, CERTBOT, name)
    config = settings(tmp_path, CERTBOT)
    before = read_all(config).pairs
    write(tmp_path, CERTBOT, "b.example")

    after = read_all(config, before).pairs

    assert after[0] is before[0]
    assert after[1].leaf != before[1].leaf


def test_what_has_become_unusable_stays_as_it_was(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, CERTBOT, "a.example")
    config = settings(tmp_path, PLAIN, CERTBOT)
    before = read_all(config).pairs
    (tmp_path / "key.pem").write_bytes(key_pem(new_key()))
    (tmp_path / "live").rename(tmp_path / "gone")

    reading = read_all(config, before)

    assert reading.pairs == before
    assert [each.fatal for each in reading.troubles] == [False, False]


def test_what_a_pattern_fits_no_more_is_gone(tmp_path: Path) -> None:
    for name in ("a.example", "b.example"):
        write(tmp_path, CERTBOT, name)
    config = settings(tmp_path, CERTBOT)
    before = read_all(config).pairs
    (tmp_path / "live" / "a.example" / "fullchain.pem").unlink()

    assert names(read_all(config, before)) == ["b.example"]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    write(tmp_path)
    (pair,) = read_all(settings(tmp_path, PLAIN)).pairs
    before = len(list(Path("/proc/self/fd").iterdir()))

    take_up(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair)

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_authorities_of_clients_are_read(tmp_path: Path) -> None:
    first, second = AUTHORITY.certificate, Authority().certificate
    pem = b"".join(each.public_bytes(Encoding.PEM) for each in (first, second))
    (tmp_path / "ca.pem").write_bytes("# häuslich\n".encode() + pem)

    read = read_client_ca(settings(tmp_path, client_ca="ca.pem"))

    assert read == b"".join(each.public_bytes(Encoding.DER) for each in (first, second))


@pytest.mark.parametrize("octets", [None, b"", b"nonsense"])
def test_authorities_that_cannot_be_read_are_said(tmp_path: Path, octets: bytes | None) -> None:
    if octets is not None:
        (tmp_path / "ca.pem").write_bytes(octets)

    with pytest.raises(ConfigError, match=r"notqmail.toml: tls.client_ca: .*ca.pem"):
        read_client_ca(settings(tmp_path, client_ca="ca.pem"))
