"""How late the event loop comes while passwords are checked: ten logins a second, beside the same time without any.

    python -m tests.bench.login_lag [--seconds 20] [--per-second 10]

Prints one JSON object: the 99th percentile of the loop's delay in milliseconds, idle and with logins, and how many
logins were done. Half of them have a wrong password, which costs the same.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from notqmail.config import Auth
from notqmail.mail.address import Address
from notqmail.mail.login import Attempt
from notqmail.system import passwords
from notqmail.system.accounts_text import Account
from notqmail.system.app_passwords_text import AppPassword
from notqmail.system.auth_users import UserAccounts
from notqmail.system.gate import PoolGate
from notqmail.system.last_use import LastUse
from notqmail.system.offload import ThreadPool

TICK = 0.005  # seconds
ALICE, PASSWORD = Address.parse("alice@example.org"), "correct horse battery staple"


class OneAccount:
    """auth_users.Table with one account."""

    def __init__(self) -> None:
        secrets = passwords.make_secrets(PASSWORD)
        self._account = Account(ALICE, secrets.argon2, secrets.scram)

    def account(self, local: str, domain: str) -> Account | None:
        return self._account if local == "alice" else None

    def app_passwords(self, local: str, domain: str) -> Sequence[AppPassword]:
        return ()


async def _lags(seconds: float) -> list[float]:
    """How late each tick came, in seconds."""
    found, end = [], time.monotonic() + seconds
    while (before := time.monotonic()) < end:
        await asyncio.sleep(TICK)
        found.append(max(0.0, time.monotonic() - before - TICK))
    return found


def _p99(lags: Sequence[float]) -> float:
    return round(sorted(lags)[len(lags) * 99 // 100] * 1000, 2)


async def _measure(seconds: float, per_second: int, place: Path) -> dict[str, float]:
    auth = Auth()
    pool = ThreadPool(auth.checks)
    gate, last_use = (
        PoolGate(pool, auth.checks, auth.waiting, "passwords"),
        LastUse(place / "used", pool),
    )
    accounts = UserAccounts(OneAccount(), "example.org", gate, last_use, auth.argon2)
    attempt, done = Attempt("192.0.2.1"), []

    async def logins() -> None:
        for number in range(int(seconds * per_second)):
            password = PASSWORD if number % 2 else "wrong"
            done.append(asyncio.create_task(accounts.password("alice", password, attempt)))
            await asyncio.sleep(1 / per_second)

    idle = await _lags(seconds)
    work = asyncio.create_task(logins())
    busy = await _lags(seconds)
    await work
    proved = [login is not None for login in await asyncio.gather(*done)]
    await pool.close()
    return {
        "idle_p99_ms": _p99(idle),
        "logins_p99_ms": _p99(busy),
        "logins": len(proved),
        "of_them_right": sum(proved),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="loop lag while passwords are checked")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--per-second", type=int, default=10)
    options = parser.parse_args()
    with TemporaryDirectory() as place:
        measured = _measure(options.seconds, options.per_second, Path(place))
        print(json.dumps(uvloop.run(measured)))


if __name__ == "__main__":
    main()
