"""How a parser here says no: an exception inside the room, a Reply at its door."""

from notqmail.mail.errors import RemoteProtocolError
from notqmail.mail.reply import Reply


class RefusedError(RemoteProtocolError):
    """The peer's line is outside the grammar; `reply` is what it is told, in ASCII whatever it sent: before it
    has said SMTPUTF8 it need not understand anything else (RFC 6531 §3.7.4)."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        text = text.encode("ascii", "backslashreplace").decode()
        self.reply = Reply(code, enhanced, text)
