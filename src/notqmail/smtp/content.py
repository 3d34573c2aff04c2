"""What content a server takes, whichever door it comes through, and what the sender hears when it does not.

The replies stand here once for SMTP, injection and the drop directory.
"""

from notqmail.mail.errors import SpoolError
from notqmail.mail.header import END
from notqmail.mail.reply import Reply
from notqmail.smtp.faults import Faults

OVERSIZE = Reply(552, "5.3.4", "the message is larger than this server takes")
HEADER_SIZE = Reply(552, "5.3.4", "the header is larger than this server takes")
BARE_NEWLINE = Reply(550, "5.6.11", "the message has a bare CR or LF; every line must end in CRLF")
NUL = Reply(550, "5.6.11", "the message has a NUL octet; encode binary content")
LONG_LINE = Reply(554, "5.6.0", "the message has a line longer than this server takes; encode it")

DISK_FULL = Reply(452, "4.3.1", "not enough space here; try again later")
STORE_DOWN = Reply(451, "4.3.0", "the message cannot be stored now; try again later")


class SizeCheck:
    """Bounds a message and its header while it comes in; both limits in octets."""

    __slots__ = ("_header", "_header_done", "_message", "_seam", "size")

    def __init__(self, message: int, header: int) -> None:
        self._message, self._header = message, header
        self._seam = b"\r\n"  # so that a message without header fields ends its header at once
        self._header_done = False
        self.size = 0

    def feed(self, chunk: bytes) -> Reply | None:
        """Count the next octets; say why the message is refused when they are too many."""
        self.size += len(chunk)
        if self.size > self._message:
            return OVERSIZE
        return None if self._header_done else self._watch_header(chunk)

    def _watch_header(self, chunk: bytes) -> Reply | None:
        """Find the end of the header, also across the seam of two chunks. The empty line is no part of it."""
        seen = self._seam + chunk
        at = seen.find(END)
        if at >= 0:
            length = self.size - len(seen) + at + 2
            self._header_done = True
        else:
            length = self.size - seen.endswith(END[:3])
        self._seam = seen[-3:]
        return HEADER_SIZE if length > self._header else None


def refusal(faults: Faults) -> Reply | None:
    """Say why content with these faults is refused, if it is."""
    if faults.bare_lf or faults.bare_cr:
        return BARE_NEWLINE
    if faults.nul:
        return NUL
    return LONG_LINE if faults.long_line else None


def spool_reply(error: SpoolError) -> Reply:
    """What the client hears when the store cannot keep its message: it keeps it (RFC 5321 §4.2.4.2)."""
    return DISK_FULL if error.full else STORE_DOWN
