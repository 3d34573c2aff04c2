"""The loop over hooks: it runs as a plain function and becomes a coroutine at the first answer not there yet.

Nothing a stage does escapes it but cancellation: an exception, a nonsense answer and an overrun budget all are
`Defer` with 451 4.3.0, logged once with the traceback.
"""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from typing import Final, TypeVar, cast

from notqmail.mail.reply import Reply
from notqmail.policy.order import Hook
from notqmail.policy.run import Run, is_answer
from notqmail.policy.verdict import ACCEPT, Defer

T = TypeVar("T")

TRY_LATER: Final = Reply(451, "4.3.0", "try again later")
FAILED: Final = Defer(TRY_LATER, "stage failed")
OVERRUN: Final = Defer(TRY_LATER, "stage took too long")

_log = logging.getLogger("notqmail.policy")


def judge(run: Run[T], hooks: Sequence[Hook], budget: float) -> T | Awaitable[T]:
    """Ask the hooks in order; `budget` is how many seconds each may be waited for."""
    args = run.args
    for at, (stage, hook) in enumerate(hooks):
        try:
            said = hook(*args)
            if said is ACCEPT:
                continue
            if not is_answer(said):
                return _judge_later(run, hooks[at:], said, budget)
            run.absorb(stage, said)
        except Exception:
            run.absorb(stage, failed(run.phase, stage))
        if run.final:
            break
    return run.outcome()


async def _judge_later(run: Run[T], hooks: Sequence[Hook], pending: object, budget: float) -> T:
    stage = hooks[0][0]
    run.restart()
    try:
        run.absorb(stage, await within(budget, pending))
    except TimeoutError:
        run.absorb(stage, overrun(run.phase, stage, budget))
    except Exception:
        run.absorb(stage, failed(run.phase, stage))
    if run.final:
        return run.outcome()
    run.restart()
    rest = judge(run, hooks[1:], budget)
    return await rest if isinstance(rest, Awaitable) else rest


async def within(budget: float, pending: object) -> object:
    """Await what a hook returned, for `budget` seconds at most; raise TimeoutError then."""
    async with asyncio.timeout(budget):
        return await cast(Awaitable[object], pending)


def failed(phase: str, stage: str) -> Defer:
    """Log the exception being handled; give the verdict it amounts to."""
    _log.exception("stage failed stage=%s phase=%s", stage, phase)
    return FAILED


def overrun(phase: str, stage: str, budget: float) -> Defer:
    _log.error("stage took too long stage=%s phase=%s budget=%s", stage, phase, budget)
    return OVERRUN
