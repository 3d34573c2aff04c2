"""The text of the senders file, as values: what an account may send as beside its own addresses. Pure.

    # account: addresses, or all those of a domain
    alice@example.org: office@example.org, @example.net
    backup: root@db.example.org

An account is named as it logs in. Comments are as in the aliases file.
"""

import re
from collections.abc import Mapping

from notqmail.mail.address import Address
from notqmail.mail.errors import AddressError, ConfigError
from notqmail.system.accounts_text import Key, alias_key, lines

_ACCOUNT = r'(?:"(?:[^"\\]|\\.)*"|[^\s,:"#][^\s,:"]*)(?:@[^\s,:@]+)?'
_TARGET = r'(?:(?:"(?:[^"\\]|\\.)*"|[^\s,:"@#][^\s,:"@]*)?@(?:\[[^\]\s]*\]|[^\s,:]+))'
_LINE = re.compile(
    rf"(?P<account>{_ACCOUNT})\s*:\s*(?P<targets>{_TARGET}(?:\s*,\s*{_TARGET})*),?(?:\s+#.*|\s*)"
)
_ONE = re.compile(_TARGET)


def parse_senders(text: str, where: str) -> Mapping[str, frozenset[Key]]:
    """Read a senders file, by `account_key`; raise ConfigError with `where`, line and remedy."""
    senders: dict[str, frozenset[Key]] = {}
    for number, line in lines(text):
        at = f"{where}:{number}"
        match = _LINE.fullmatch(line)
        if match is None:
            raise ConfigError(at, "not a line of senders", "write: ACCOUNT: ADDRESS, @DOMAIN…")
        account = account_key(match["account"])
        if account in senders:
            raise ConfigError(
                at, f"{match['account']} stands twice", "put the addresses into one line"
            )
        senders[account] = frozenset(
            alias_key(one[0], at) for one in _ONE.finditer(match["targets"])
        )
    return senders


def account_key(account: str) -> str:
    """Write the name of an account as it is looked for: an address folded, any other name as it is."""
    try:
        address = Address.parse(account)
    except AddressError:
        return account
    return str(Address(address.fold, address.domain)) if address.domain else account
