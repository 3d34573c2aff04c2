"""How a parser here says no: an exception inside the room, a Reply at its door."""

from notqmail.mail.errors import RemoteProtocolError
from notqmail.mail.reply import Reply


class RefusedError(RemoteProtocolError):
    """The peer's line is outside the grammar; `reply` is what it is told."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, enhanced, text)
