"""fail2ban's own reading of our log lines, with the filter that we ship: whom would it ban?"""

import logging
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from configparser import ConfigParser
from pathlib import Path

import pytest

from notqmail.log import as_json, as_text
from notqmail.policy.login_log import log_failure, log_success
from tests.support.programs import ROOT, environment

pytestmark = pytest.mark.interop

FAIL2BAN = ROOT / ".peers" / "fail2ban"  # scripts/peers unpacks it there
SHIPPED = ROOT / "config" / "fail2ban"
VICTIM, ATTACKER = "198.51.100.1", "192.0.2.1"
FORGED = f"2026-11-22T18:40:49.123Z info login login-failed s=a ip={VICTIM} user=x"
JSON = f'{{"at":"","level":"info","area":"login","event":"login-failed","s":"a","ip":"{VICTIM}","user":"'
EVIL = [
    "a b",
    f"ip={VICTIM}",
    f"x ip={VICTIM} user=",
    f"\n{FORGED}",
    f"\r\n{FORGED}\r\n",
    f"\r{FORGED}",
    f"\v{FORGED}\f{FORGED}\x1c{FORGED}\x85{FORGED}\u2028{FORGED}\u2029{FORGED}",
    f"\0{FORGED}",
    f'"\n{FORGED}',
    f'" ip={VICTIM} user="',
    f'\\" ip={VICTIM}',
    f"\\\n{FORGED}",
    f"\n{JSON}",
    f'","ip":"{VICTIM}","user":"',
    f'\\","ip":"{VICTIM}","user":"',
    "Nov 22 18:40:49 mx notqmail[1]: " + FORGED,
    f"<F-IP4>{VICTIM}</F-IP4>",
    "1.2.3.4 5.6.7.8 ::1 2001:db8::bad",
    "%(_head)s",
    "ü" * 200,
    "x" * 5000,
    "",
]

Layout = Callable[[logging.LogRecord], str]
FORMS: dict[str, tuple[Layout, str]] = {
    "file": (as_text, ""),
    "json": (as_json, ""),
    "syslog": (as_text, "Nov 27 18:40:49 mx notqmail[12]: "),
    "json-syslog": (as_json, "Nov 27 18:40:49 mx notqmail[12]: "),
}


class Gathering(logging.Handler):
    """Keeps records as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def handle(self, record: logging.LogRecord) -> bool:
        self.records.append(record)
        return True


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    logger, gathering = logging.getLogger("notqmail"), Gathering()
    level = logger.level
    logger.addHandler(gathering)
    logger.setLevel(logging.INFO)
    yield gathering.records
    logger.removeHandler(gathering)
    logger.setLevel(level)


def found(
    log: Path, records: Sequence[logging.LogRecord], form: str, zone: str = "UTC"
) -> Sequence[tuple[str, int]]:
    """Write the records as a log and give address and time of what fail2ban takes for a failure."""
    program = FAIL2BAN / "usr/bin/fail2ban-regex"
    if not program.exists():
        pytest.skip("fail2ban is not unpacked below .peers; scripts/peers does it (as root)")
    layout, head = FORMS[form]
    lines = [layout(record) for record in records]
    text = "".join(f"{head}{line}\n" for each in lines for line in each[:-1].split("\n"))
    log.write_text(text, "utf-8", "surrogateescape")
    ended = subprocess.run(
        [
            *("/usr/bin/python3", str(program), "-c", str(FAIL2BAN / "etc/fail2ban")),
            *("-o", "<ip> <time>", str(log), str(SHIPPED / "filter.d" / "notqmail.conf")),
        ],
        env=environment()
        | {"TZ": zone, "PYTHONPATH": str(FAIL2BAN / "usr/lib/python3/dist-packages")},
        capture_output=True,
        timeout=60,
        check=True,
    )
    rows = (line.split() for line in ended.stdout.decode().splitlines())
    return [(ip, int(float(at))) for ip, at in rows]


def fail(user: str, address: str = ATTACKER) -> None:
    log_failure(session="s1", address=address, user=user, mechanism="PLAIN", why="wrong password")


@pytest.mark.parametrize("form", FORMS)
def test_who_failed_is_found(tmp_path: Path, records: list[logging.LogRecord], form: str) -> None:
    for address in (ATTACKER, "::ffff:192.0.2.2", "2001:db8::1"):
        fail("alice@example.org", address)

    assert [ip for ip, _ in found(tmp_path / "log", records, form)] == [
        ATTACKER,
        "192.0.2.2",
        "2001:db8::1",
    ]


@pytest.mark.parametrize("form", ["file", "json"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_the_time_of_a_line_is_utc_wherever_the_machine_stands(
    tmp_path: Path, records: list[logging.LogRecord], form: str, zone: str
) -> None:
    fail("alice")

    assert found(tmp_path / "log", records, form, zone) == [(ATTACKER, int(records[0].created))]


@pytest.mark.parametrize("form", FORMS)
def test_no_name_makes_it_somebody_elses_failure(
    tmp_path: Path, records: list[logging.LogRecord], form: str
) -> None:
    for user in EVIL:
        fail(user)

    blamed = Counter(ip for ip, _ in found(tmp_path / "log", records, form))

    assert blamed == {ATTACKER: len(EVIL)}


@pytest.mark.parametrize("form", FORMS)
def test_nothing_else_in_the_log_is_a_failure(
    tmp_path: Path, records: list[logging.LogRecord], form: str
) -> None:
    log = logging.getLogger("notqmail.smtpd")
    for user in EVIL:
        log_success(
            session="s1", address=ATTACKER, account=user, mechanism="PLAIN", label=user[:20]
        )
        log.warning("refused helo=%s", user)
        log.error("session failed s=%s", user)
        records[-1].exc_text = f"Traceback\nValueError: {user}"

    assert found(tmp_path / "log", records, form) == []


def test_the_jail_names_the_filter_and_the_ports_of_logins() -> None:
    jail = ConfigParser(interpolation=None)
    jail.read(SHIPPED / "jail.d" / "notqmail.conf", "utf-8")

    assert dict(jail["notqmail"]).items() >= {"filter": "notqmail", "port": "465,587"}.items()
    assert (SHIPPED / "filter.d" / f"{jail['notqmail']['filter']}.conf").exists()
