"""Queue ids and references."""

import random
import re

from hypothesis import given
from hypothesis import strategies as st

from notqmail.queue.ids import new_id

NOW = 1_800_000_000.0


def test_id_is_fourteen_capitals_and_digits() -> None:
    assert re.fullmatch("[0-9A-Z]{14}", new_id(NOW, random.Random(1)))


@given(st.floats(0, 4e9), st.floats(0.001, 1e6))
def test_ids_sort_by_time(now: float, later: float) -> None:
    chance = random.Random(1)

    assert new_id(now, chance) < new_id(now + later, chance)


def test_ids_of_one_moment_differ() -> None:
    chance = random.Random(1)

    assert len({new_id(NOW, chance) for _ in range(200)}) == 200


def test_id_spells_time_and_chance_in_base_32() -> None:
    now, number = NOW + 0.7, 0
    for sign in new_id(now, random.Random(1)):
        number = 32 * number + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(sign)

    assert number >> 20 == int(now * 2**18)
    assert number & 0xFFFFF == random.Random(1).getrandbits(20)
