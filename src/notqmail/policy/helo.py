"""The name given in HELO, EHLO: whether it can be a name at all (RFC 5321 §4.1.1.1).

The RFC forbids refusing mail because the name is not the client's, and clients give names it does not allow: with
underscores, a trailing dot, no dot at all. Refused is what no well-meant client says: nothing, or something that
is neither like a domain nor like an address literal. `strict` refuses all that is outside the grammar.
"""

import re
from dataclasses import dataclass
from typing import ClassVar, Final

from notqmail.mail.reply import Reply
from notqmail.policy.transaction import Session
from notqmail.policy.verdict import ACCEPT, Reject, Verdict

INVALID: Final = Reply(501, "5.5.2", "your HELO name is not a host name")

_LABEL = r"[A-Za-z0-9_\u00a1-\U0010ffff-]{1,63}"
_LIKE_A_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
# also with the zone of a link-local address, which Java and Windows put there
_LIKE_A_LITERAL = re.compile(r"\[[0-9A-Za-z.:-]+(?:%[0-9A-Za-z._-]+)?\]")
_LIKE_IPV6 = re.compile(r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f.]{0,15}){2,8}(?:%[0-9A-Za-z._-]+)?")
_MAX = 255


@dataclass(frozen=True, slots=True)
class HeloName:
    """Evidence: the name as given; `valid` when it is a domain or literal by the grammar."""

    name: str
    valid: bool


@dataclass(frozen=True, slots=True)
class HeloSyntax:
    strict: bool = False

    gives: ClassVar[tuple[type, ...]] = (HeloName,)

    def on_helo(self, session: Session) -> Verdict:
        name, valid = session.helo, session.helo_valid
        session.evidence.add(HeloName(name, valid))
        if valid or (not self.strict and _possible(name)):
            return ACCEPT
        return Reject(INVALID, "helo syntax", {"helo": name[:_MAX]})


def _possible(name: str) -> bool:
    return len(name) <= _MAX and any(
        pattern.fullmatch(name) for pattern in (_LIKE_A_DOMAIN, _LIKE_A_LITERAL, _LIKE_IPV6)
    )
