"""A fuzz target as a value: the function, its dictionary, and which modules' parsing it drives."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
REGRESSIONS = HERE / "regressions"
DICTIONARIES = HERE / "dictionaries"


@dataclass(frozen=True, slots=True)
class Target:
    """`run` takes any octets and raises only when a property does not hold. `covers` are the modules whose parsing
    it drives, without the leading `notqmail.`."""

    name: str
    run: Callable[[bytes], None]
    grammar: str
    covers: tuple[str, ...]

    @property
    def dictionary(self) -> Path:
        """The words of its grammar, in the form of AFL and libFuzzer."""
        return DICTIONARIES / f"{self.grammar}.dict"

    @property
    def corpus(self) -> Path:
        """The inputs that are kept: together they reach all that is known to be reachable."""
        return CORPUS / self.name

    @property
    def regressions(self) -> Path:
        """The inputs that once broke something."""
        return REGRESSIONS / self.name

    def kept(self) -> list[Path]:
        """The files of corpus and regressions, in a fixed order."""
        return [
            file
            for directory in (self.corpus, self.regressions)
            for file in sorted(directory.glob("*"))
            if file.is_file()
        ]
