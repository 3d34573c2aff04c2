"""What is owed to whom, and what was found.

Every message carries a mark and the digest of its body, so that a delivered message tells by itself which it is and whether
it is whole. What is still owed at the end is lost; what nobody owed came out of thin air.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

MARK = "X-Soak"
_MARK = re.compile(rb"^X-Soak: (\S+) ([0-9a-f]{16})\r?$", re.MULTILINE)
_REPORT = re.compile(rb"^Content-Type: multipart/report", re.MULTILINE | re.IGNORECASE)
_END = re.compile(rb"\r?\n\r?\n")


class Debt(NamedTuple):
    """A message by its mark, the mailbox it has to come to, and whether as itself or in a bounce."""

    mark: str
    mailbox: str
    bounce: bool = False


def letter(mark: str, body: bytes) -> bytes:
    """Make a message, lines ended with CRLF."""
    head = f"From: <soak@sender.example>\r\nSubject: soak\r\n{MARK}: {mark} {digest(body)}\r\n\r\n"
    return head.encode() + body


def digest(body: bytes) -> str:
    """Of the text, however its lines end."""
    return hashlib.sha256(body.replace(b"\r\n", b"\n")).hexdigest()[:16]


@dataclass(slots=True)
class Letters:
    """`owed` until found. `possible` are messages whose client never heard the answer: they may come."""

    owed: set[Debt] = field(default_factory=set)
    possible: set[Debt] = field(default_factory=set)
    kept: int = 0
    faults: "Counter[str]" = field(default_factory=lambda: Counter[str]())
    examples: list[str] = field(default_factory=list)

    def owe(self, debts: Iterable[Debt]) -> None:
        """Note what has to come, before it can."""
        self.owed.update(debts)

    def forgive(self, debts: Iterable[Debt], *, unsure: bool = False) -> None:
        """It was not accepted after all; or nobody knows."""
        forgiven = self.owed.intersection(debts)
        self.owed -= forgiven
        if unsure:
            self.possible |= forgiven

    def found(self, mailbox: str, content: bytes) -> None:
        """Note a message that has come to a mailbox."""
        marked = _MARK.search(content)
        if marked is None:
            self._fault("a message without a mark", mailbox)
            return
        head_end = _END.search(content)
        bounce = _REPORT.search(content, 0, head_end.start() if head_end else 0) is not None
        debt = Debt(marked[1].decode(), mailbox, bounce)
        if not bounce and head_end and digest(content[head_end.end() :]) != marked[2].decode():
            self._fault("a body that is not what was sent", f"{debt.mark} at {mailbox}")
        elif debt in self.owed:
            self.owed.remove(debt)
            self.kept += 1
        elif debt in self.possible:
            self.possible.remove(debt)
        else:
            what = "bounce" if bounce else "message"
            self._fault(
                f"a {what} nobody waited for, or a second time", f"{debt.mark} at {mailbox}"
            )

    def _fault(self, what: str, example: str) -> None:
        self.faults[what] += 1
        if self.faults[what] <= 3:
            self.examples.append(f"{what}: {example}")
