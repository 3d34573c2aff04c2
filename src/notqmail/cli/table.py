"""Records for people and for programs: aligned tables, sizes, ages and times with their units; JSON lines."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def show(
    columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()
) -> None:
    """Print a table. The columns named in `right` are numbers and end flush."""
    lines = [list(columns), *([clean(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    flush = [column in right for column in columns]
    for line in lines:
        cells = [
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(line, widths, flush, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def show_json(records: Iterable[Mapping[str, Any]]) -> None:
    """Print records, one JSON object per line."""
    for record in records:
        click.echo(msgspec.json.encode(record).decode())


def clean(text: str) -> str:
    """Take out what could move a terminal's cursor."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def size(octets: int) -> str:
    """Write a number of octets for people, in powers of 1024."""
    amount = float(octets)
    for unit in ("B", "KB", "MB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GB"


def span(seconds: float) -> str:
    """Write a span of time for people, in its largest two units."""
    rest = int(seconds)
    if rest < 1:
        return "0s"
    parts: list[str] = []
    for unit, length in _UNITS:
        count, rest = divmod(rest, length)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part)


def age(since: float) -> str:
    """Write how long ago a wall-clock time is."""
    return span(max(time.time() - since, 0))


def until(due: float) -> str:
    """Write how far away a wall-clock time is; "now" when it has come."""
    left = due - time.time()
    return f"in {span(left)}" if left >= 1 else "now"


def moment(at: float) -> str:
    """Write a wall-clock time."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
