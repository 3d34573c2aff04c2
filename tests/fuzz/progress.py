"""What libFuzzer says, as figures."""

import re
from dataclasses import dataclass, replace

_STATUS = re.compile(r"#(\d+)\s+\w+\s+(?:cov: (\d+) )?(?:ft: (\d+) )?(?:corp: (\d+)/)?")
_SPEED = re.compile(r"exec/s: (\d+)")
_SAVED = re.compile(r"Test unit written to (\S+)")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one target is. `features` are edges and comparisons that were reached, `inputs` the corpus in use,
    `saved` the file of an input that broke something."""

    executions: int = 0
    speed: int = 0
    features: int = 0
    inputs: int = 0
    saved: str = ""

    def heard(self, line: str) -> "Progress":
        """Give the figures after one more line of output."""
        if match := _SAVED.search(line):
            return replace(self, saved=match[1])
        if (match := _STATUS.match(line)) is None:
            return self
        speed = _SPEED.search(line)
        return replace(
            self,
            executions=int(match[1]),
            speed=int(speed[1]) if speed else self.speed,
            features=int(match[3] or self.features),
            inputs=int(match[4] or self.inputs),
        )

    def __str__(self) -> str:
        return (
            f"{self.executions:>10,} executions {self.speed:>7,}/s {self.features:>7,} features "
            f"{self.inputs:>6,} inputs"
        )
