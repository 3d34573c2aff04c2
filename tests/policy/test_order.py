"""Which hooks run where, and which orders are impossible."""

import pytest

from notqmail.mail.errors import ConfigError
from notqmail.policy.header_text import ReadHeader
from notqmail.policy.loops import Loops
from notqmail.policy.order import pick_hooks
from notqmail.policy.stage import PHASES
from tests.support.policy import is_local, says

LOOPS = Loops(100, is_local)


class Finding:
    pass


def stage(
    name: str, *phases: str, gives: tuple[type, ...] = (), needs: tuple[type, ...] = ()
) -> object:
    hooks = {phase: lambda self, *_: None for phase in phases}
    return type(name, (), {**hooks, "gives": gives, "needs": needs})()


def test_every_phase_has_its_hooks_in_order() -> None:
    hooks = pick_hooks([says("rcpt", name="one"), says("mail"), says("rcpt", name="two")])

    assert {phase: [name for name, _ in hooks[phase]] for phase in PHASES if hooks[phase]} == {
        "on_mail": ["says"],
        "on_rcpt": ["one", "two"],
    }


def test_a_giver_before_its_needer_is_fine() -> None:
    assert len(pick_hooks([ReadHeader(), LOOPS])["on_message"]) == 2


def test_a_giver_after_its_needer_names_both() -> None:
    with pytest.raises(ConfigError, match=r"loops: .* stage read_header gives only later; put"):
        pick_hooks([LOOPS, ReadHeader()])


def test_a_giver_of_an_earlier_phase_may_stand_after() -> None:
    assert pick_hooks(
        [
            stage("Needer", "on_message", needs=(Finding,)),
            stage("Giver", "on_mail", gives=(Finding,)),
        ]
    )


def test_a_giver_of_a_later_phase_is_too_late_wherever_it_stands() -> None:
    giver = stage("Giver", "on_message", gives=(Finding,))

    with pytest.raises(ConfigError, match="which stage giver gives only later"):
        pick_hooks([giver, stage("Needer", "on_rcpt", needs=(Finding,))])


def test_what_nobody_gives_cannot_be_needed() -> None:
    with pytest.raises(ConfigError, match="stage loops: it needs HeaderText, which no stage gives"):
        pick_hooks([LOOPS])


def test_a_misspelt_hook_is_told_with_the_nearest_phase() -> None:
    with pytest.raises(ConfigError, match="stage odd: on_recpt is no phase; did you mean on_rcpt"):
        pick_hooks([stage("Odd", "on_recpt")])


def test_an_unknown_hook_is_told_with_all_phases() -> None:
    with pytest.raises(ConfigError, match="on_zzzz is no phase; phases: on_connect"):
        pick_hooks([stage("Odd", "on_zzzz")])


def test_a_stage_without_a_hook_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="stage odd: it has no hook") as error:
        pick_hooks([stage("Odd")])

    assert error.value.remedy.startswith("give it one of on_connect, on_helo")


def test_a_stage_cannot_need_what_only_itself_gives_at_that_moment() -> None:
    alone = stage("Alone", "on_mail", gives=(Finding,), needs=(Finding,))

    with pytest.raises(ConfigError, match="which stage alone gives only later"):
        pick_hooks([alone])
