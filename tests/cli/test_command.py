"""Which configuration file a command uses."""

import os
from pathlib import Path

import pytest

from notqmail.cli.command import HERE, SYSTEM, VARIABLE, find_config
from notqmail.mail.errors import ConfigError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)


def test_the_option_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/from/environment.toml")
    HERE.touch()

    assert find_config("given.toml") == Path("given.toml")


def test_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/from/environment.toml")
    HERE.touch()

    assert find_config(None) == Path("/from/environment.toml")


def test_then_the_current_directory() -> None:
    HERE.touch()

    assert find_config(None) == HERE


def test_then_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")

    assert find_config(None) == SYSTEM


def test_what_others_can_write_is_not_obeyed_unasked() -> None:
    HERE.touch()
    HERE.chmod(0o666)

    with pytest.raises(ConfigError, match=r"somebody else can write it.*-c notqmail\.toml"):
        find_config(None)
    assert find_config("notqmail.toml") == HERE


@pytest.mark.root
def test_what_others_own_is_not_obeyed_unasked() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    HERE.touch()
    os.chown(HERE, 54321, 54321)

    with pytest.raises(ConfigError, match="somebody else"):
        find_config(None)
