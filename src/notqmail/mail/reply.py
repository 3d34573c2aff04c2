"""An SMTP reply: the common currency of receiving and sending (RFC 5321 §4.2, RFC 2034, RFC 3463)."""

import re
from dataclasses import dataclass
from functools import cached_property

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?: |(?=\n)|\Z)", re.ASCII)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\U0010ffff]")
MAX_TEXT = (
    480  # octets of text per line, so that a reply line stays within 512 (RFC 5321 §4.5.3.1.5)
)


@dataclass(frozen=True)
class Reply:
    """`code` three digits, `enhanced` like "5.1.1" or "" (banner, EHLO, 354), `text` lines joined by LF.

    Text never holds CR, NUL or other controls: they are replaced by `?` on the way in.
    """

    code: int
    enhanced: str
    text: str

    def __post_init__(self) -> None:
        if not (self.text.isprintable() and self.text.isascii()):
            clean = "\n".join(_UNPRINTABLE.sub("?", line) for line in self.text.split("\n"))
            object.__setattr__(self, "text", clean)

    @property
    def positive(self) -> bool:
        return 200 <= self.code < 400

    @property
    def transient(self) -> bool:
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        return 500 <= self.code < 600

    @cached_property
    def wire(self) -> bytes:
        """The reply as octets, the enhanced code on every line (RFC 2034 §4), CRLF at each end."""
        prefix = f"{self.enhanced} " if self.enhanced else ""
        lines = self.text.split("\n")
        last = len(lines) - 1
        out = [
            _cut(f"{self.code}{' ' if i == last else '-'}{prefix}{line}".encode())
            for i, line in enumerate(lines)
        ]
        return b"\r\n".join(out) + b"\r\n"

    @classmethod
    def received(cls, code: int, text: str) -> "Reply":
        """Make a reply from what a peer said, taking its enhanced code out of the text if it has one."""
        match = _ENHANCED.match(text)
        if match is None or match[1] != str(code)[0]:
            return cls(code, "", text)
        enhanced = f"{match[1]}.{match[2]}.{match[3]}"
        head, *more = text.split("\n")
        lines = [head[match.end() :], *(line.removeprefix(f"{enhanced} ") for line in more)]
        return cls(code, enhanced, "\n".join(lines))

    def __str__(self) -> str:
        flat = self.text.replace("\n", " ")
        return f"{self.code} {self.enhanced} {flat}" if self.enhanced else f"{self.code} {flat}"


def _cut(line: bytes) -> bytes:
    """Keep a line within MAX_TEXT and its codes, without splitting a character."""
    if len(line) <= MAX_TEXT + 20:
        return line
    return line[: MAX_TEXT + 20].decode(errors="ignore").encode()
