"""Passwords of system users, as the files of the machine have them: passwd(5), shadow(5), login.defs(5), crypt(3).

Only a person's account counts: its user id lies between UID_MIN and UID_MAX of login.defs, so root and daemons can
never log in. Its shell does not matter: people who have mail and nothing else have /usr/sbin/nologin, and Postfix with
saslauthd and Dovecot let them in as well. Accounts from elsewhere (LDAP, sssd) are not in these files: they need PAM.

Part of the spawn helper: nothing but the standard library is imported.
"""

import ctypes
import hmac
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_IDS = re.compile(rb"^[ \t]*(UID_MIN|UID_MAX)[ \t]+([0-9]+)", re.MULTILINE)
# crypt(3) knows it everywhere; a user who is not there costs a hash all the same
_DECOY = b"$6$notqmail$" + b"." * 86


@dataclass(frozen=True, slots=True)
class Files:
    """Where the accounts are."""

    passwd: str = "/etc/passwd"  # noqa: S105  no password stands in it
    shadow: str = "/etc/shadow"
    login_defs: str = "/etc/login.defs"


def check(user: bytes, password: bytes, files: Files, today: int) -> bool:
    """Say whether this is the password of a person who may log in `today` (days since 1970). A name that is not there
    costs what a wrong password does. Raises OSError when the files cannot be read, or there is no crypt(3)."""
    entries = {fields[0]: fields for fields in _lines(files.shadow, 9)}
    entry, person = entries.get(user), _is_person(user, files)
    usable = entry is not None and person and _in_force(entry, today) and _is_hash(entry[1])
    wanted = entry[1] if entry is not None and usable else b""
    cost_of = wanted or next((e[1] for e in entries.values() if _is_hash(e[1])), _DECOY)
    found = _crypt(password, cost_of)
    return hmac.compare_digest(found, wanted or b"-") and _is_hash(found)


def _is_person(user: bytes, files: Files) -> bool:
    ids = {b"UID_MIN": 1000, b"UID_MAX": 60000}
    with suppress(FileNotFoundError):
        ids |= {key: int(value) for key, value in _IDS.findall(Path(files.login_defs).read_bytes())}
    least = max(1, ids[b"UID_MIN"])
    uids = [fields[2] for fields in _lines(files.passwd, 7) if fields[0] == user]
    return bool(uids) and all(
        uid.isdigit() and least <= int(uid) <= ids[b"UID_MAX"] for uid in uids
    )


def _lines(path: str, fields: int) -> Iterator[list[bytes]]:
    """The lines of such a file with as many fields as they must have."""
    for line in Path(path).read_bytes().splitlines():
        if len(found := line.split(b":")) == fields and found[0]:
            yield found


def _is_hash(text: bytes) -> bool:
    """False for no password, and for a locked account ("!…", "*")."""
    return len(text) >= 13 and text[:1] not in (b"!", b"*")


def _in_force(entry: list[bytes], today: int) -> bool:
    """Whether neither account nor password has run out. Who must change the password first cannot do that here."""
    changed, longest, expires = (
        int(f) if f.isdigit() else -1 for f in (entry[2], entry[4], entry[7])
    )
    if 0 <= expires <= today or changed == 0:
        return False
    return changed < 0 or longest < 0 or today <= changed + longest


def _crypt(password: bytes, setting: bytes) -> bytes:
    """Hash as `setting` is hashed; raises OSError. Python has no crypt module any longer."""
    for name in ("libcrypt.so.2", "libcrypt.so.1", None):  # None: in libc itself
        with suppress(OSError, AttributeError):
            function = ctypes.CDLL(name).crypt
            break
    else:
        raise OSError("no crypt(3)")
    function.argtypes, function.restype = (ctypes.c_char_p, ctypes.c_char_p), ctypes.c_char_p
    return function(password, setting) or b""
