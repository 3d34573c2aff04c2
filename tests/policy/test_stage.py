"""Names of stages, and where they are found."""

import tomllib
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from notqmail.policy.early_talker import EarlyTalker
from notqmail.policy.order import pick_hooks
from notqmail.policy.stage import GROUP, load_stages, stage_name
from tests.support.policy import says

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
OURS = tomllib.loads(PROJECT.read_text())["project"]["entry-points"][GROUP]


def test_a_stage_is_named_after_its_class() -> None:
    assert stage_name(EarlyTalker()) == "early_talker"


def test_a_stage_may_have_a_name_of_its_own() -> None:
    assert stage_name(says("rcpt", name="greylist")) == "greylist"


@pytest.mark.parametrize("name", OURS)
def test_our_stages_are_registered_under_their_names(name: str) -> None:
    stage = EntryPoint(name, OURS[name], GROUP).load()

    assert stage_name(object.__new__(stage)) == name


def test_every_stage_of_ours_is_registered() -> None:
    room = Path(import_module("notqmail.policy").__path__[0])
    modules = {
        path.stem
        for path in room.glob("*.py")
        if "def on_" in path.read_text() and path.stem != "stage"
    }

    assert {value.partition(":")[0].rpartition(".")[2] for value in OURS.values()} == modules


def test_installed_stages_are_stages() -> None:
    for stage in load_stages().values():
        assert pick_hooks([object.__new__(type("Alone", (stage,), {"needs": ()}))])


def test_a_stage_that_others_have_installed_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "others-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        f"[{GROUP}]\ntheirs = {EarlyTalker.__module__}:EarlyTalker\n"
        "[console_scripts]\ntool = nowhere:main\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    stages = load_stages()

    assert stages["theirs"] is EarlyTalker
    assert "tool" not in stages
