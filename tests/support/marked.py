"""Generated parts of a page: the text between `<!-- begin: NAME -->` and `<!-- end: NAME -->`, replaced at once or not at all."""

import re
from pathlib import Path


def replace(page: Path, name: str, text: str) -> None:
    """Put `text` between the marks. Raises LookupError, with the page untouched, when they are not there once."""
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    marked = re.compile(f"({re.escape(begin)}\n).*?({re.escape(end)})", re.DOTALL)
    whole = page.read_text("utf-8")
    if len(marked.findall(whole)) != 1:
        raise LookupError(f"{page}: the lines {begin} and {end} must stand there once")
    written = page.with_name(f".{page.name}.new")
    written.write_text(marked.sub(lambda m: f"{m[1]}{text.strip()}\n{m[2]}", whole), "utf-8")
    written.replace(page)
