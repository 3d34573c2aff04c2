"""One message on its way into one Maildir: what it will be called and the octets it will hold.

Maildir files have LF line ends, as qmail, Postfix and Dovecot write them (docs/adr/0005).
"""

from notqmail.delivery.mailbox_path import file_name
from notqmail.mail.address import Address
from notqmail.mail.entry import Entry
from notqmail.mail.header import HeaderEdit, HeaderEditor, edited, header_end

# RFC 5321 §4.4: the final delivery writes Return-Path, and only one may remain
_EARLIER_RETURN_PATHS = (HeaderEdit("remove", b"return-path"),)


class Letter:
    """A file to be. `maildir` is the directory that has tmp/, new/ and cur/; `home` the Maildir it is a folder of.

    `failure` says why it is not delivered; `found` (new | cur) that an attempt before this one had done it.
    """

    __slots__ = ("failure", "fd", "found", "home", "look", "maildir", "name", "tmp")

    def __init__(self, maildir: str, home: str, name: str, token: int, look: bool) -> None:
        self.maildir = maildir
        self.home = home
        self.name = name
        # the token is this attempt's alone, so a stale attempt still writing cannot be written into
        self.tmp = f"tmp/{name}.{token}"
        self.look = look  # an attempt before this one may have delivered it
        self.fd = -1
        self.found = ""
        self.failure: OSError | None = None

    @property
    def pending(self) -> bool:
        """True while there is something left to do for it."""
        return self.failure is None and not self.found


def letter_for(entry: Entry, recipient: Address, maildir: str, folder: str, host: str) -> Letter:
    """Make the letter of an entry for one of its recipients."""
    name = file_name(entry.born, entry.id, recipient, host)
    directory = f"{maildir}/{folder}" if folder else maildir
    return Letter(directory, maildir, name, entry.token, entry.recovered)


def trace(entry: Entry, recipient: Address) -> bytes:
    """Give the fields of final delivery, with LF (RFC 5321 §4.4; Delivered-To is what stops loops)."""
    sender = entry.message.envelope.sender
    return f"Return-Path: <{sender or ''}>\nDelivered-To: {recipient}\n".encode()


def octets(trace: bytes, whole: bytes) -> bytes:
    """Give the file's content for a message held whole."""
    header = whole[: header_end(whole)]
    if b"return-path" in header.lower():
        whole = edited(_EARLIER_RETURN_PATHS, whole)
    return trace + whole.replace(b"\r\n", b"\n")


class LetterStream:
    """The same for a message in chunks: feed them, take pieces; holds at most its header."""

    def __init__(self, trace: bytes) -> None:
        self._trace = trace
        self._editor = HeaderEditor(_EARLIER_RETURN_PATHS)
        self._cr = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take octets, give what is ready for the file."""
        return self._convert(b"".join(self._editor.feed(chunk)))

    def finish(self) -> bytes:
        """The message has ended: give what is left."""
        ready = self._convert(b"".join(self._editor.finish()))
        trace, self._trace = self._trace, b""  # left when there was no content at all
        cr, self._cr = self._cr, b""
        return trace + ready + cr

    def _convert(self, piece: bytes) -> bytes:
        if not piece:
            return b""
        piece = self._cr + piece
        self._cr = b"\r" if piece.endswith(b"\r") else b""  # its LF may come with the next chunk
        if self._cr:
            piece = piece[:-1]
        ready, self._trace = self._trace + piece.replace(b"\r\n", b"\n"), b""
        return ready
