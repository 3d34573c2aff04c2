"""The result in words."""

from tests.crash import kill, power, report
from tests.crash.ledger import NOTHING, Account, Promise

LOST = Promise("ABC", "alice@example.org", 100)
ACCOUNT = Account(
    promised=20, delivered=19, twice=2, more=0, unanswered=1, lost=(LOST,), unexplained=()
)


def test_progress_tells_how_far_it_is() -> None:
    line = report.progress("kills", 5, 10, 1234, ACCOUNT, seconds=60)

    assert line.startswith("kills 5/10  accepted 1,234 ")
    assert line.endswith("lost 1  ETA 1:00")


def test_progress_before_the_first_crash_knows_no_end() -> None:
    assert report.progress("cuts", 0, 10, 0, NOTHING, 1).endswith("ETA ?")


def test_lost_messages_are_named() -> None:
    assert report.faults(ACCOUNT) == "lost: ABC to alice@example.org, 100 octets"


def test_many_lost_messages_are_named_in_part() -> None:
    lost = tuple(LOST._replace(id=str(n)) for n in range(report.SHOWN + 5))
    account = NOTHING + Account(15, 0, 0, 0, 0, lost, ())

    lines = report.faults(account).splitlines()

    assert len(lines) == report.SHOWN + 1
    assert lines[-1] == "and 5 more"


def test_page_has_the_command_and_the_figures() -> None:
    rows = report.kill_rows(kill.Tally(10, 2, 1, 15, ACCOUNT, 90.0))

    text = report.page("scripts/crash kill", rows)

    assert text.startswith("`scripts/crash kill`, 2")
    assert "| **lost** | **1** |" in text
    assert "| found twice | 2 (0.20 per kill) |" in text


def test_terminal_gets_the_figures_without_marks() -> None:
    text = report.plain(report.power_rows(power.Tally(4, 15, ACCOUNT, 90.0)))

    assert "**" not in text
    assert "1:30" in text
