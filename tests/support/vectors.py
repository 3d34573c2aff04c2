"""Test data that other projects published. The environment variable NOTQMAIL_VECTORS names its directory; none of it is
in this repository. Without it these tests are skipped, with the reason; in CI a skip is a failure (tests/conftest.py).
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest


def path(name: str) -> Path:
    """Give the path of a file, or skip the test that asks for it."""
    root = os.environ.get("NOTQMAIL_VECTORS", "")
    if not root:
        pytest.skip("NOTQMAIL_VECTORS does not name the directory of the published test data")
    file = Path(root, name)
    if not file.exists():
        pytest.skip(f"the published test data have no {name}")
    return file


def load(name: str) -> list[dict[str, Any]]:
    """Give the cases of a list, such as "dovecot-smtp-params"."""
    cases: list[dict[str, Any]] = json.loads(path(f"lists/{name}.json").read_text())["cases"]
    assert cases
    return cases


def lines(name: str) -> list[str]:
    """Give the lines of a text file that are neither empty nor a `#` comment."""
    text = path(name).read_text(encoding="utf-8")
    return [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
