"""The workloads, in the order of the report; each module is loaded when it is needed."""

import importlib
from dataclasses import fields, replace
from typing import Any

from tests.bench.peer import Workload

MODULES = ("w1", "w2", "w3", "w4", "w5", "w6", "w7")


def workloads(messages: int | None = None) -> tuple[Workload, ...]:
    """All of them; `messages` replaces the number of messages of a run where there is one."""
    found = []
    for name in MODULES:
        for workload in importlib.import_module(f"{__name__}.{name}").WORKLOADS:
            found.append(_sized(workload, messages))
    return tuple(found)


def _sized(workload: Any, messages: int | None) -> Workload:
    sized: Workload = workload
    if messages is not None and "messages" in (field.name for field in fields(workload)):
        sized = replace(workload, messages=messages)
    return sized
