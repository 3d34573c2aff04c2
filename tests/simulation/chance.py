"""Chance from one seed, a source of its own for every concern: an event more in one place moves nothing elsewhere."""

import math
import random


class Chance:
    """`of(name)` gives the same source for the same seed and name, whatever else was drawn."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def of(self, *concern: object) -> random.Random:
        """Make a new source for a concern."""
        return random.Random(":".join(map(str, (self.seed, *concern))))


def spread(random: random.Random, low: float, high: float) -> float:
    """Draw between two positive numbers, every order of magnitude equally likely."""
    return low * math.exp(random.random() * math.log(high / low))
