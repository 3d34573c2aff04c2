"""What was counted, in words and as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tests.bench.cost.baseline import Baseline, Line, Verdict
from tests.bench.cost.shapes import SHAPES
from tests.bench.cost.valgrind import Counts
from tests.support.machine import commit

_HEADS = ("shape", "instructions/message", "ratio", "baseline", "change")


def table(lines: Sequence[Line]) -> str:
    """An aligned table for a terminal."""
    rows = [_HEADS, *map(_cells, lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def markdown(lines: Sequence[Line], counts: Counts) -> str:
    """The table of docs/explanation/cost.md."""
    rows = [
        f"| `{each.shape}` | {SHAPES[each.shape].about} | {each.instructions:,.0f} | {each.ratio:.2f} |"
        for each in lines
    ]
    head = [
        "| shape | what it is | instructions per message | ratio |",
        "|---|---|---:|---:|",
    ]
    foot = f"\nOne turn of the reference loop: {counts.reference:,.0f} instructions."
    return "\n".join([*head, *rows, foot])


def as_json(lines: Sequence[Line], counts: Counts) -> str:
    """One object: the counts, the verdicts, and `ok`, false when a shape has grown."""
    found: Mapping[str, Any] = {
        "ok": not grown(lines),
        "commit": commit(),
        "reference": round(counts.reference),
        "shapes": {each.shape: _plain(each) for each in lines},
    }
    return json.dumps(found, indent=2)


def grown(lines: Sequence[Line]) -> Sequence[Line]:
    """The lines that fail the gate."""
    return [each for each in lines if each.verdict is Verdict.GROWN]


def remarks(lines: Sequence[Line], baseline: Baseline | None) -> Iterator[str]:
    """What is to be said of the table: which shape has changed by how much, and what to do."""
    since = (
        "" if baseline is None else f" since {baseline.commit} ({baseline.day}, {baseline.python})"
    )
    for each in lines:
        if each.verdict is Verdict.GROWN and each.change is not None:
            yield (
                f"a message of shape {each.shape} costs {each.change:.0%} more{since}: "
                f"`scripts/cost --profile {each.shape}` says where; "
                "if it is worth that, `scripts/cost --update` and say why in the commit"
            )
        elif each.verdict is Verdict.SHRUNK and each.change is not None:
            yield (
                f"a message of shape {each.shape} costs {-each.change:.0%} less{since}: well done; "
                "`scripts/cost --update` keeps it so"
            )
        elif each.verdict is Verdict.NEW:
            yield f"shape {each.shape} has no baseline for this Python: `scripts/cost --update` makes one"


def _cells(line: Line) -> tuple[str, ...]:
    return (
        line.shape,
        f"{line.instructions:,.0f}",
        f"{line.ratio:.3f}",
        "-" if line.baseline is None else f"{line.baseline:.3f}",
        "-" if line.change is None else f"{line.change:+.1%}",
    )


def _plain(line: Line) -> Mapping[str, Any]:
    return {
        **asdict(line),
        "instructions": round(line.instructions),
        "ratio": round(line.ratio, 4),
        "change": None if line.change is None else round(line.change, 4),
    }
