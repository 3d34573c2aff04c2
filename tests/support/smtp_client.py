"""A client that says octets and hears replies, nothing more: what well-behaved libraries refuse to send, it sends."""

import socket
from types import TracebackType
from typing import Self

END = "EOF"  # what `reply` gives when the server has closed the connection


class SmtpClient:
    """A connection to an SMTP server. The banner is read with `reply` like any other."""

    def __init__(self, host: str, port: int, timeout: float = 20) -> None:
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    @classmethod
    def greeted(cls, port: int, name: str = "client.example") -> Self:
        """Connect to 127.0.0.1, read the banner and say EHLO."""
        client = cls("127.0.0.1", port)
        client.reply()
        client.ask(f"EHLO {name}")
        return client

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def ask(self, line: str) -> str:
        """Send a command and give the reply."""
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def reply(self) -> str:
        """Read one whole reply, its lines joined by LF, or END."""
        lines: list[str] = []
        while True:
            line = self._line()
            if line is None:
                return "\n".join([*lines, END])
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    def _line(self) -> str | None:
        while b"\n" not in self._read:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self._read += data
        line, _, self._read = self._read.partition(b"\n")
        assert line.endswith(b"\r"), f"a reply line without CRLF: {line!r}"
        return line[:-1].decode("utf-8", "backslashreplace")

    def half_close(self) -> None:
        """Say that nothing more comes; replies can still be read."""
        self.socket.shutdown(socket.SHUT_WR)

    def envelope(self, sender: str, *recipients: str) -> None:
        """MAIL and RCPT, all of which must be accepted."""
        for line in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{to}>" for to in recipients)):
            answer = self.ask(line)
            assert answer.startswith("250 "), f"{line}: {answer}"

    def data(self, content: bytes) -> str:
        """Send a message without dots at the start of a line and give the reply to its end."""
        answer = self.ask("DATA")
        assert answer.startswith("354"), answer
        self.send(content + b".\r\n")
        return self.reply()
