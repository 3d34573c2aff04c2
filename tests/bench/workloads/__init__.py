"""The workloads in the order of the report, each with its module, which is loaded when it is needed."""

import importlib
from dataclasses import fields, replace
from typing import Any

from tests.bench.peer import Workload

WORKLOADS = {
    "W1": "w1",
    "W1-100": "w1",
    "W1k": "w1",
    "W2": "w2",
    "W3": "w3",
    "W4": "w4",
    "W5": "w5",
    "W5-10k": "w5",
    "W6": "w6",
    "W6-200k": "w6",
    "W7": "w7",
}


def workload(name: str, messages: int | None = None) -> Workload:
    """The workload of that name; `messages` replaces the number of messages of a run, where it has one."""
    found: Any = importlib.import_module(f"{__name__}.{WORKLOADS[name]}")
    chosen: Any = next(each for each in found.WORKLOADS if each.name == name)
    if messages is not None and "messages" in (field.name for field in fields(chosen)):
        chosen = replace(chosen, messages=messages)
    ready: Workload = chosen
    return ready
