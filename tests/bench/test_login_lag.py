"""Passwords are checked beside the event loop, not on it."""

import asyncio
import time
from pathlib import Path

from notqmail.config import Auth
from notqmail.mail.login import Attempt
from notqmail.system.auth_users import UserAccounts
from notqmail.system.gate import PoolGate
from notqmail.system.last_use import LastUse
from notqmail.system.offload import ThreadPool
from tests.bench import login_lag

LOGINS = 6
MOST = 0.005  # seconds of the loop's own CPU for one login; the hash alone takes several times that


async def test_a_login_takes_little_of_the_loops_own_time(tmp_path: Path) -> None:
    auth, pool = Auth(), ThreadPool(2)
    table, last_use = login_lag.OneAccount(), LastUse(tmp_path / "used", pool)
    accounts = UserAccounts(table, "", PoolGate(pool, 2, 10, "passwords"), last_use, auth.argon2)
    name, attempt = "alice@example.org", Attempt("192.0.2.1")
    await accounts.password(name, login_lag.PASSWORD, attempt)
    before = time.thread_time()

    logins = [accounts.password(name, login_lag.PASSWORD, attempt) for _ in range(LOGINS)]
    proved = await asyncio.gather(*logins)

    assert all(proved)
    assert (time.thread_time() - before) / LOGINS < MOST
    await pool.close()


async def test_the_measurement_measures(tmp_path: Path) -> None:
    found = await login_lag._measure(0.3, 10, tmp_path)

    assert (found["logins"], found["of_them_right"]) == (3, 1)
    assert found["idle_p99_ms"] >= 0
