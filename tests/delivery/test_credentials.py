"""Passwords in files."""

import logging
from pathlib import Path

import pytest

from notqmail.delivery.credentials import Secret, is_exposed, read_password
from notqmail.mail.errors import ConfigError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.touch(0o600)
    return path


@pytest.mark.parametrize(
    "octets", [b"s\xc3\xa9cret ", b"s\xc3\xa9cret \n", b"s\xc3\xa9cret \r\nmore\n"]
)
def test_password_is_the_first_line(path: Path, octets: bytes) -> None:
    path.write_bytes(octets)

    assert read_password(path).reveal() == "sécret "


@pytest.mark.parametrize("octets", [b"", b"\nx", b"a\0b", b"\xff", b"x" * 5000])
def test_file_without_a_password_is_refused_and_not_shown(path: Path, octets: bytes) -> None:
    path.write_bytes(octets)

    with pytest.raises(ConfigError) as caught:
        read_password(path)

    assert caught.value.where == str(path)
    assert "xxx" not in str(caught.value)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_password(tmp_path / "nothing")


@pytest.mark.parametrize(("mode", "exposed"), [(0o600, False), (0o640, False), (0o644, True)])
def test_file_that_everybody_can_read_is_told(
    path: Path, mode: int, exposed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("x")
    path.chmod(mode)

    read_password(path)

    assert is_exposed(path.stat().st_mode) is exposed
    assert bool([r for r in caplog.records if r.levelno == logging.WARNING]) is exposed


def test_secret_is_shown_by_nothing() -> None:
    secret = Secret("correct horse")

    assert "horse" not in f"{secret} {secret!r} {[secret]} {vars(Secret)}"
