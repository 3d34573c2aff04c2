"""The log lines of logins, in a form that stays: config/fail2ban reads who failed.

    2026-11-22T18:40:49.123Z info login login-failed s=submission1f ip=192.0.2.1 user=alice mechanism=PLAIN why=…

What the client chose stands behind its address, in a fixed order of fields: no name can make it somebody else's.
"""

import logging
from typing import Final

from notqmail.log import event
from notqmail.mail.network import plain_address

MAX_USER: Final = 128  # characters kept of the name that was tried

_log = logging.getLogger("notqmail.login")


def log_failure(*, session: str, address: str, user: str, mechanism: str, why: str) -> None:
    """Tell that a login failed. `session` and `why` are our words, `user` is whatever was tried."""
    ip = plain_address(address)
    name = user[:MAX_USER]
    event(_log, "login-failed", s=session, ip=ip, user=name, mechanism=mechanism, why=why)


def log_success(*, session: str, address: str, account: str, mechanism: str, label: str) -> None:
    """Tell that somebody is in; `label` names the app password, "" is the main one."""
    event(
        _log,
        "login",
        s=session,
        ip=plain_address(address),
        user=account[:MAX_USER],
        mechanism=mechanism,
        label=label,
    )
