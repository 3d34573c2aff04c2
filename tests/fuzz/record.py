"""The figures of a fuzzing run in docs/explanation/reliability.md."""

from collections.abc import Sequence

from tests.fuzz.campaign import Ran
from tests.support import machine, marked
from tests.support.programs import ROOT

PAGE = ROOT / "docs" / "explanation" / "reliability.md"


def write_record(ended: Sequence[Ran]) -> None:
    """Write the table into the page, whatever it says."""
    measured = f"Commit {machine.commit()}, {machine.day()}, {machine.machine()}."
    marked.replace(PAGE, "fuzz", "\n".join([measured, "", *table(ended)]))


def table(ended: Sequence[Ran]) -> list[str]:
    """Give what was found, and a row for each target."""
    broken = [ran.target.name for ran in ended if ran.broken]
    executions = sum(ran.progress.executions for ran in ended)
    minutes = sum(ran.seconds for ran in ended) / 60
    return [
        f"{len(ended)} targets, {minutes:.0f} minutes of fuzzing, {executions:,} executions: "
        + (f"broken: {', '.join(broken)}." if broken else "nothing was found."),
        "",
        "| target | executions | per second | features reached | inputs kept in CI |",
        "|---|--:|--:|--:|--:|",
        *(
            f"| {ran.target.name} | {ran.progress.executions:,} | {ran.progress.speed:,} "
            f"| {ran.progress.features:,} | {len(ran.target.kept())} |"
            for ran in sorted(ended, key=lambda ran: ran.target.name)
        ),
    ]
