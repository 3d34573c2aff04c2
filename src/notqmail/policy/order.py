"""The order of stages: which hooks run in which phase, and whether each stage gets the evidence it needs."""

import difflib
from collections.abc import Callable, Mapping, Sequence

from notqmail.mail.errors import ConfigError
from notqmail.policy.stage import PHASES, stage_name

Hook = tuple[str, Callable[..., object]]
"""A stage's name and one of its bound hooks."""

_Moment = tuple[int, int]  # phase, place in the order


def pick_hooks(stages: Sequence[object]) -> Mapping[str, tuple[Hook, ...]]:
    """Give the hooks of every phase, in order; raise ConfigError for a stage that cannot work here."""
    for stage in stages:
        _check_hooks(stage)
    _check_order(stages)
    return {
        phase: tuple(
            (stage_name(stage), getattr(stage, phase)) for stage in stages if hasattr(stage, phase)
        )
        for phase in PHASES
    }


def _check_hooks(stage: object) -> None:
    where = f"stage {stage_name(stage)}"
    hooks = [name for name in dir(stage) if name.startswith("on_")]
    for name in hooks:
        if name not in PHASES:
            near = difflib.get_close_matches(name, PHASES, n=1)
            known = f"did you mean {near[0]}?" if near else f"phases: {', '.join(PHASES)}"
            raise ConfigError(where, f"{name} is no phase", known)
    if not hooks:
        raise ConfigError(where, "it has no hook", f"give it one of {', '.join(PHASES)}")


def _check_order(stages: Sequence[object]) -> None:
    """A need is met when its giver's first moment comes before the needer's last one."""
    givers: dict[type, tuple[_Moment, object]] = {}
    for place, stage in enumerate(stages):
        for kind in _evidence(stage, "gives"):
            givers.setdefault(kind, (_moments(stage, place)[0], stage))
    for place, stage in enumerate(stages):
        last = _moments(stage, place)[-1]
        for kind in _evidence(stage, "needs"):
            where = f"stage {stage_name(stage)}"
            if kind not in givers:
                raise ConfigError(where, f"it needs {kind.__name__}, which no stage gives")
            first, giver = givers[kind]
            if first >= last:
                raise ConfigError(
                    where,
                    f"it needs {kind.__name__}, which stage {stage_name(giver)} gives only later",
                    f"put {stage_name(giver)} before {stage_name(stage)}",
                )


def _moments(stage: object, place: int) -> list[_Moment]:
    return [(at, place) for at, phase in enumerate(PHASES) if hasattr(stage, phase)]


def _evidence(stage: object, attribute: str) -> tuple[type, ...]:
    return tuple(getattr(stage, attribute, ()))
