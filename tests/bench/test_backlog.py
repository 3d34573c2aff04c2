"""Ten portions of mail for a destination that is away."""

import pytest

from tests.bench import backlog
from tests.bench.backlog import Portion
from tests.bench.peer import Failed


def test_the_portions_are_all_the_messages() -> None:
    portions = backlog.fill(1003, 100, lambda messages, _: Portion(messages, 1))

    assert len(portions) == 10
    assert sum(portion.messages for portion in portions) == 1003


def test_fewer_messages_than_portions_are_fewer_portions() -> None:
    portions = backlog.fill(3, 100, lambda messages, _: Portion(messages, 1))

    assert [portion.messages for portion in portions] == [1, 1, 1]


def test_a_server_that_takes_no_more_is_left_alone() -> None:
    answers = iter([Portion(10, 1), Portion(4, 1, "452 full")])

    portions = backlog.fill(100, 100, lambda *_: next(answers))

    assert [portion.messages for portion in portions] == [10, 4]


def test_a_server_that_takes_nothing_has_failed() -> None:
    with pytest.raises(Failed, match="452 no room"):
        backlog.fill(100, 100, lambda *_: Portion(0, 1, "452 no room"))


def test_when_the_time_is_over_no_portion_is_begun() -> None:
    asked = []

    def inject(messages: int, _: float) -> Portion:
        asked.append(messages)
        return Portion(messages, 1)

    assert len(backlog.fill(100, 0, inject)) == 1
    assert asked == [10]


@pytest.mark.parametrize(
    ("output", "number"), [("", 0), ("1\r2\r3\r\n", 3), ("17\r18\r", 18), ("warning\r5\rfoo", 5)]
)
def test_the_last_number_counts(output: str, number: int) -> None:
    assert backlog.last_number(output) == number


def script(text: str) -> list[str]:
    return ["/bin/sh", "-c", text]


def test_what_was_counted_is_the_portion() -> None:
    portion = backlog.counted(script("printf '1\\r2\\r\\n'"), {}, 30)

    assert portion.messages == 2
    assert not portion.complaint


def test_a_refusal_is_told_in_the_words_of_the_program() -> None:
    portion = backlog.counted(script("printf '1\\r'; echo 'x: fatal: 452 no' >&2; exit 1"), {}, 30)

    assert portion.messages == 1
    assert portion.complaint == "452 no"


def test_one_that_takes_too_long_is_cut_off() -> None:
    portion = backlog.counted(["/bin/sleep", "60"], {}, 0)

    assert portion.messages == 0
    assert "the time was over" in portion.complaint
