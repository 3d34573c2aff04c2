from pathlib import Path

import pytest

from notqmail.mail.errors import ConfigError
from notqmail.system.kept_secret import kept_secret


def test_secret_is_made_once_and_is_nobody_elses(tmp_path: Path) -> None:
    file = tmp_path / "secret"

    made = kept_secret(file)

    assert len(made) == 32
    assert kept_secret(file) == made
    assert file.stat().st_mode & 0o777 == 0o600
    assert kept_secret(tmp_path / "other") != made


@pytest.mark.parametrize("text", ["", "abc", "x" * 64])
def test_what_is_no_secret_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "secret"
    file.write_text(text)

    with pytest.raises(ConfigError, match="delete it"):
        kept_secret(file)
