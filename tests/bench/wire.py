"""The least of an SMTP client: it says lines and hears replies, and whatever it did not expect is `Failed`.

Small and without copies, because it runs beside the servers that are measured (tests/support/smtp_client.py is the
comfortable one). What comes is acknowledged at once, wherever the kernel lets us say so: a server that has sent
TLS session tickets and leaves Nagle's algorithm on waits for that with its next reply, and figures would be those of
a 40 ms timer.
"""

import socket

from tests.bench.peer import Failed

_ACKNOWLEDGE = getattr(socket, "TCP_QUICKACK", None)  # Linux only, and forgotten with every write


class Wire:
    """One connection; its socket stays the caller's."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.left = b""  # octets that came after the last reply

    def ask(self, line: str, code: str) -> None:
        """Send a command and read its reply, which must begin with `code`. Raises Failed or OSError."""
        self._socket.sendall(line.encode() + b"\r\n")
        self._reply(code, line)

    def expect(self, code: str) -> None:
        """Read a reply nobody asked for, as the banner."""
        self._reply(code, "the connection")

    def transaction(self, sender: str, recipient: str, content: bytes) -> None:
        """Send a message that has no line with a dot at its start and ends with CRLF."""
        self.ask(f"MAIL FROM:<{sender}>", "250")
        self.ask(f"RCPT TO:<{recipient}>", "250")
        self.ask("DATA", "354")
        self._socket.sendall(content + b".\r\n")
        self._reply("250", "the message")

    def _reply(self, code: str, asked: str) -> None:
        """Read up to the last line of a reply, the first whose fourth octet is no hyphen."""
        data = self.left
        start = 0
        while True:
            end = data.find(b"\n", start)
            if end < 0:
                if _ACKNOWLEDGE is not None:
                    self._socket.setsockopt(socket.IPPROTO_TCP, _ACKNOWLEDGE, 1)
                more = self._socket.recv(65536)
                if not more:
                    raise Failed(f"the server hung up after {asked}")
                data += more
            elif data[start + 3 : start + 4] == b"-":
                start = end + 1
            else:
                break
        self.left = data[end + 1 :]
        reply = data[start:end].decode("utf-8", "backslashreplace").strip()
        if not reply.startswith(code):
            raise Failed(f"the answer to {asked} was {reply!r}")
