"""Pages of docs/: what stands in them is taken out and run."""

import re
from collections.abc import Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> Sequence[str]:
    """Give the code blocks in one language of a page, in their order."""
    text = (DOCS / page).read_text("utf-8")
    return [code for found, code in _BLOCK.findall(text) if found == language]


def block(page: str, language: str, holding: str) -> str:
    """Give the one code block that holds a text."""
    (found,) = (code for code in blocks(page, language) if holding in code)
    return found
