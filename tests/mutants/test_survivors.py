"""What mutmut leaves behind is read as it was meant."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.survivors import Fate, Mutant, explained, mutants

SOURCE = """
def x_f__mutmut_orig(a):
    if a > 1:
        raise ValueError("5.5.2", "too many of them")
    return a

def x_f__mutmut_1(a):
    if a >= 1:
        raise ValueError("5.5.2", "too many of them")
    return a

def x_f__mutmut_2(a):
    if a > 1:
        raise ValueError("5.5.2", "XXtoo many of themXX")
    return a

def x_f__mutmut_3(a):
    if a > 1:
        raise ValueError("5.5.2", None)
    return a

class C:
    def xǁCǁg__mutmut_orig(self):
        return get("KEY")

    def xǁCǁg__mutmut_1(self):
        return get("XXKEYXX")

    def xǁCǁh__mutmut_orig(self):
        return f("a b", "KEY")

    def xǁCǁh__mutmut_1(self):
        return f("a b", "key")
"""
PAGE = """# Mutants
### `smtp.path.f`
It is never one.
```diff
-if a > 1:
+if a >= 1:
-a
-b
+c
```
"""


def read(tmp_path: Path, page: str = "", **codes: Any) -> list[Mutant]:
    room = tmp_path / "mutants" / "src" / "notqmail" / "smtp"
    room.mkdir(parents=True)
    (room / "path.py").write_text(SOURCE)
    names = {f"notqmail.smtp.path.{name}": code for name, code in codes.items()}
    (room / "path.py.meta").write_text(json.dumps({"exit_code_by_key": names}))
    (tmp_path / "page.md").write_text(page)
    return list(mutants(tmp_path, explained(tmp_path / "page.md")))


@pytest.mark.parametrize(
    ("code", "fate"),
    [
        (0, Fate.SURVIVED),
        (1, Fate.KILLED),
        (33, Fate.UNTESTED),
        (-24, Fate.TIMEOUT),
        (None, Fate.PENDING),
        (-11, Fate.SURVIVED),
    ],
)
def test_the_exit_status_of_its_tests_is_the_fate_of_a_mutant(
    tmp_path: Path, code: int | None, fate: Fate
) -> None:
    (found,) = read(tmp_path, x_f__mutmut_1=code)

    assert found.fate is fate
    assert (found.function, found.module) == ("smtp.path.f", "smtp.path")


def test_a_survivor_is_known_by_the_lines_that_differ(tmp_path: Path) -> None:
    (found,) = read(tmp_path, x_f__mutmut_1=0)

    assert (found.removed, found.added) == (("if a > 1:",), ("if a >= 1:",))


@pytest.mark.parametrize("name", ["x_f__mutmut_2", "x_f__mutmut_3"])
def test_another_sentence_or_none_is_only_words(tmp_path: Path, name: str) -> None:
    (found,) = read(tmp_path, "", **{name: 0})

    assert found.fate is Fate.WORDS


def test_a_literal_without_a_space_is_not_words(tmp_path: Path) -> None:
    beside, alone = read(tmp_path, xǁCǁh__mutmut_1=0, xǁCǁg__mutmut_1=0)

    assert (alone.function, alone.fate) == ("smtp.path.C.g", Fate.SURVIVED)
    assert beside.fate is Fate.SURVIVED


def test_what_the_page_explains_is_explained(tmp_path: Path) -> None:
    (found,) = read(tmp_path, PAGE, x_f__mutmut_1=0)

    assert found.fate is Fate.EXPLAINED


def test_the_page_may_explain_several_changes_of_several_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)

    assert explained(page) == {
        ("smtp.path.f", ("if a > 1:",), ("if a >= 1:",)),
        ("smtp.path.f", ("a", "b"), ("c",)),
    }
