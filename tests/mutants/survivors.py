"""What mutmut leaves behind, as values: each mutant, what became of it, and how it differs from the original."""

import ast
import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Fate(StrEnum):
    """What became of a mutant. WORDS: it survived, and only a sentence for people differs. EXPLAINED: it survived,
    and docs/explanation/mutants.md says why it may."""

    KILLED = "killed"
    TIMEOUT = "timeout"
    UNTESTED = "untested"
    WORDS = "words"
    EXPLAINED = "explained"
    SURVIVED = "survived"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`function` is like "smtp.dots.DataDecoder.feed"; `removed` and `added` are the lines that differ, stripped."""

    function: str
    fate: Fate
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """Room and module, as in "smtp.dots"."""
        return ".".join(self.function.split(".")[:2])

    @property
    def change(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """What identifies it wherever its lines have moved to."""
        return self.function, self.removed, self.added


Change = tuple[str, tuple[str, ...], tuple[str, ...]]

# mutmut's exit status of a mutant's tests: pytest's (0, 1, 3, 5), its own (33: no test calls the function), a limit
# on processor time, a killed process
_FATES = {
    0: Fate.SURVIVED,
    1: Fate.KILLED,
    3: Fate.KILLED,
    5: Fate.UNTESTED,
    33: Fate.UNTESTED,
    36: Fate.TIMEOUT,
    24: Fate.TIMEOUT,
    -24: Fate.TIMEOUT,
    -9: Fate.TIMEOUT,
    255: Fate.TIMEOUT,
    None: Fate.PENDING,
}
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"')
_HEADING = re.compile(r"^### `([\w.]+)`$")


def mutants(tree: Path, explained: frozenset[Change] = frozenset()) -> Sequence[Mutant]:
    """Read the results of mutmut's work directory `tree`."""
    found = []
    for meta in sorted((tree / "mutants" / "src" / "notqmail").glob("*/*.py.meta")):
        codes = json.loads(meta.read_text())["exit_code_by_key"]
        bodies = _bodies(meta.with_suffix("").read_text()) if codes else {}
        found += [_mutant(name, code, bodies, explained) for name, code in codes.items()]
    return found


def _mutant(
    name: str, code: int | None, bodies: Mapping[str, Sequence[str]], explained: frozenset[Change]
) -> Mutant:
    module, _, mangled = name.removeprefix("notqmail.").rpartition(".")
    original = mangled.rpartition("__mutmut_")[0]
    function = f"{module}.{_plain(original)}"
    fate = _FATES.get(code, Fate.SURVIVED)
    if fate is not Fate.SURVIVED:
        return Mutant(function, fate)
    removed, added = _difference(bodies[f"{original}__mutmut_orig"], bodies[mangled])
    if (function, removed, added) in explained:
        fate = Fate.EXPLAINED
    elif _only_words(removed, added):
        fate = Fate.WORDS
    return Mutant(function, fate, removed, added)


def _plain(mangled: str) -> str:
    """Undo mutmut's names: `x_f` is f, `xǁCǁf` is C.f."""
    if mangled.startswith("xǁ"):
        return mangled.removeprefix("xǁ").replace("ǁ", ".")
    return mangled.removeprefix("x_")


def _bodies(source: str) -> Mapping[str, Sequence[str]]:
    """The lines of every function below its `def`."""
    lines = source.split("\n")
    return {
        node.name: lines[node.lineno : node.end_lineno]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def _difference(
    original: Sequence[str], mutated: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    changed = [
        line
        for line in difflib.unified_diff(original, mutated, lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    return (
        tuple(line[1:].strip() for line in changed if line[0] == "-"),
        tuple(line[1:].strip() for line in changed if line[0] == "+"),
    )


def _only_words(removed: Sequence[str], added: Sequence[str]) -> bool:
    """Say whether the lines are alike but for a sentence that is another, or missing."""
    before, after = (_LITERAL.sub(_elided, "\n".join(lines)) for lines in (removed, added))
    if before == after:
        return True
    return any(
        after == before[: at.start()] + "None" + before[at.end() :]
        for at in re.finditer("…", before)
    )


def _elided(literal: re.Match[str]) -> str:
    """A literal with a space in it is a sentence; any other may mean something to a program."""
    return "…" if " " in literal[0] else literal[0]


def explained(page: Path) -> frozenset[Change]:
    """Read the mutants that the page explains: headings that name a function, then diffs of their changes."""
    return frozenset(_explained(page.read_text("utf-8").split("\n")))


def _explained(lines: Sequence[str]) -> Iterator[Change]:
    function, removed, added = "", list[str](), list[str]()
    fenced = False
    for line in lines:
        if (removed or added) and (not line.startswith(("-", "+")) or (line[0] == "-" and added)):
            yield function, tuple(removed), tuple(added)
            removed, added = [], []
        if heading := _HEADING.match(line):
            function = heading[1]
        elif line.startswith("```"):
            fenced = line == "```diff"
        elif fenced and line.startswith("-"):
            removed.append(line[1:].strip())
        elif fenced and line.startswith("+"):
            added.append(line[1:].strip())
