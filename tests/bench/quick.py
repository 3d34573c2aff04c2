"""The figures as one JSON object, with what they are to reach: ratios to Postfix in the same round."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.report import STAGES, About
from tests.bench.results import Results, Spread, cpu, memory, rate
from tests.bench.servers import OURS, REFERENCE

RATIOS: Mapping[str, float] = {
    "W1": 3,
    "W1k": 3,
    "W2": 2,
}  # our rate divided by Postfix's, at least
CPU_RATIO = 1 / 3  # our CPU per message divided by Postfix's, in every workload, at most


def document(
    about: About, workloads: Sequence[str], servers: Sequence[str], results: Results
) -> dict[str, Any]:
    """All that was measured. `ok` says whether every target is reached; one that was not measured is not."""
    ratios = _ratios(workloads, results, rate)
    cpu_ratios = _ratios(workloads, results, cpu)
    return {
        "commit": about.commit,
        "date": about.day,
        "machine": about.machine,
        "load_before": about.load,
        "disk": about.disk,
        "stages": list(STAGES),
        "rounds": about.rounds,
        "figures": {
            workload: {server: _figures(results, workload, server) for server in servers}
            for workload in workloads
        },
        "ratios": ratios,
        "cpu_ratios": cpu_ratios,
        "targets": {"ratios": dict(RATIOS), "cpu_ratios": CPU_RATIO},
        "ok": reached(ratios, cpu_ratios),
    }


def reached(ratios: Mapping[str, float], cpu_ratios: Mapping[str, float]) -> bool:
    """Whether the rates are high enough, and CPU time low enough wherever it was measured."""
    fast = all(ratios.get(workload, 0) >= least for workload, least in RATIOS.items())
    return fast and RATIOS.keys() <= cpu_ratios.keys() and max(cpu_ratios.values()) <= CPU_RATIO


def missing(workloads: Sequence[str], servers: Sequence[str], results: Results) -> list[str]:
    """What could not be measured, and why."""
    found = []
    for workload in workloads:
        for server in servers:
            if failure := results.failure(workload, server):
                found.append(f"{server} failed {workload}: {failure}")
            if absence := results.absence(workload, server):
                found.append(f"{server} could not be measured on {workload}: {absence}")
    return found


def _ratios(workloads: Sequence[str], results: Results, of: Any) -> dict[str, float]:
    found = {name: results.ratio(name, OURS, REFERENCE, of) for name in workloads}
    return {name: round(ratio, 3) for name, ratio in found.items() if ratio is not None}


def _figures(results: Results, workload: str, server: str) -> dict[str, Any]:
    if failure := results.failure(workload, server):
        return {"failed": failure}
    if absence := results.absence(workload, server):
        return {"not_measured": absence}
    return {
        "rate": _spread(results.spread(workload, server, rate)),
        "cpu_ms": _median(results.spread(workload, server, cpu), 3),
        "peak_memory_mb": _median(results.spread(workload, server, memory), 1),
    }


def _spread(found: Spread | None) -> dict[str, float] | None:
    if found is None:
        return None
    names = ("median", "min", "max")
    return {name: round(value, 1) for name, value in zip(names, found, strict=True)}


def _median(found: Spread | None, digits: int) -> float | None:
    return round(found.median, digits) if found else None
