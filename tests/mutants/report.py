"""The figures of a run of mutants: in lines, and in docs/explanation/reliability.md."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.mutants.survivors import Fate, Mutant
from tests.support import machine, marked
from tests.support.programs import ROOT

PAGE = ROOT / "docs" / "explanation" / "reliability.md"
EXPLANATIONS = ROOT / "docs" / "explanation" / "mutants.md"
_UNKILLED = (Fate.SURVIVED, Fate.UNTESTED)


def unexplained(found: Sequence[Mutant]) -> Sequence[Mutant]:
    """Give the mutants that no test killed, no words account for and no page explains."""
    return [mutant for mutant in found if mutant.fate in _UNKILLED]


def diffs(found: Sequence[Mutant]) -> Iterator[str]:
    """Give what was not killed as diffs, under the names of the functions."""
    function = ""
    for mutant in unexplained(found):
        if mutant.function != function:
            function = mutant.function
            yield f"\n{function}"
        if mutant.fate is Fate.UNTESTED:
            yield "no test calls it"
        yield from (f"-{line}" for line in mutant.removed)
        yield from (f"+{line}" for line in mutant.added)


def table(found: Sequence[Mutant]) -> Iterator[str]:
    """Give the table, a row for each module."""
    yield "| module | mutants | killed | words only | explained | survived |"
    yield "|---|--:|--:|--:|--:|--:|"
    for module in sorted({mutant.module for mutant in found}):
        yield _row(module, [mutant for mutant in found if mutant.module == module])
    yield _row("all", found)


def _row(name: str, found: Sequence[Mutant]) -> str:
    count = Counter(mutant.fate for mutant in found)
    killed = count[Fate.KILLED] + count[Fate.TIMEOUT]
    left = sum(count[fate] for fate in _UNKILLED)
    return (
        f"| {name} | {len(found)} | {killed} | {count[Fate.WORDS]} | {count[Fate.EXPLAINED]} "
        f"| {left} |"
    )


def write_record(found: Sequence[Mutant]) -> None:
    """Write the table into the page, whatever it says."""
    pending = sum(mutant.fate is Fate.PENDING for mutant in found)
    lines = [
        f"Commit {machine.commit()}, {machine.day()}, {machine.machine()}."
        + (f" {pending} mutants were not tested." if pending else ""),
        "",
        *table(found),
    ]
    marked.replace(PAGE, "mutants", "\n".join(lines))
