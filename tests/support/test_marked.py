"""tests/support/marked.py"""

from pathlib import Path

import pytest

from tests.support.marked import replace

PAGE = "above\n<!-- begin: a -->\nold\n<!-- end: a -->\nbelow\n"


def test_only_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)

    replace(page, "a", r"new \1 text" + "\n\n")

    assert page.read_text() == PAGE.replace("old", r"new \1 text")
    assert list(tmp_path.iterdir()) == [page]


@pytest.mark.parametrize("text", ["no marks", PAGE + PAGE])
def test_a_page_without_the_marks_stays_as_it_is(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)

    with pytest.raises(LookupError, match="must stand there once"):
        replace(page, "a", "new")

    assert page.read_text() == text
