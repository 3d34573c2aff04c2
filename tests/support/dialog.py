r"""SMTP dialogues as data: what the client says, what the server must answer, what must come of it.

    # the first comment says what the dialogue shows
    set: listen.0.limits.recipients = 100        a configuration key (a Python literal); the server is one of its own
    s: 220 mx.example.org …                      one whole reply; `…` stands for anything, line ends included
    c: EHLO client.example                       one line; lines between two replies are sent in one segment
    c+ .\r.\n                                     octets as they stand: no CRLF is added
    c* 3 RCPT TO:<bob@example.org>               a line three times over
    half-close:                                  the client has nothing more to say, but still listens
    s: EOF                                       the server has closed the connection
    mail: alice                                  so many lines, so many messages: what arrived, and nothing else

In `c:` and `c+` a backslash escapes as in Python bytes (\r \n \0 \xff \\).
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

DIALOGS = Path(__file__).resolve().parents[1] / "dialogs"


@dataclass(frozen=True, slots=True)
class Say:
    octets: bytes


@dataclass(frozen=True, slots=True)
class Expect:
    pattern: str
    line: int

    def matches(self, reply: str) -> bool:
        expression = ".*".join(re.escape(part) for part in self.pattern.split("…"))
        return re.fullmatch(expression, reply, re.DOTALL) is not None


@dataclass(frozen=True, slots=True)
class HalfClose:
    pass


Step = Say | Expect | HalfClose


@dataclass(frozen=True, slots=True)
class Dialog:
    """One file. `mail` is how many messages each user of the domain has afterwards."""

    name: str
    steps: tuple[Step, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    mail: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return self.name


class Wire(Protocol):
    """The server's side of a dialogue, over a socket or in memory."""

    def send(self, octets: bytes) -> None: ...
    def reply(self) -> str: ...
    def half_close(self) -> None: ...


def play(dialog: Dialog, wire: Wire) -> None:
    """Hold the dialogue; fail at the first reply that is not as written, with what was said before."""
    said: list[str] = []
    for step in dialog.steps:
        match step:
            case Say(octets):
                said.append(f"c: {octets!r}" if len(octets) < 200 else f"c: {len(octets)} octets")
                wire.send(octets)
            case HalfClose():
                wire.half_close()
            case Expect(pattern, line):
                reply = wire.reply()
                said.append(f"s: {reply}")
                if not step.matches(reply):
                    talk = "\n".join(said[-12:])
                    raise AssertionError(f"{dialog.name}:{line}: expected {pattern!r}\n{talk}")


def dialogs() -> Sequence[Dialog]:
    """All dialogues of tests/dialogs, by name."""
    return [parse(path) for path in sorted(DIALOGS.glob("*.smtp"))]


def parse(path: Path) -> Dialog:
    steps: list[Step] = []
    settings: dict[str, Any] = {}
    mail: Counter[str] = Counter()
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        word, _, rest = line.partition(" ")
        match word:
            case "" | "#":
                pass
            case "s:":
                steps.append(Expect(rest, number))
            case "c:" | "c+" | "c*":
                _say(steps, word, rest)
            case "half-close:":
                steps.append(HalfClose())
            case "set:":
                key, _, value = rest.partition(" = ")
                settings[key] = ast.literal_eval(value)
            case "mail:":
                mail[rest] += 1
            case _:
                raise AssertionError(f"{path.name}:{number}: not a step of a dialogue: {line!r}")
    return Dialog(path.stem, tuple(steps), settings, mail)


def _say(steps: list[Step], word: Literal["c:", "c+", "c*"] | str, rest: str) -> None:
    times = 1
    if word == "c*":
        count, _, rest = rest.partition(" ")
        times = int(count)
    octets = _unescape(rest) + (b"" if word == "c+" else b"\r\n")
    octets *= times
    if steps and isinstance(steps[-1], Say):
        steps[-1] = Say(steps[-1].octets + octets)
    else:
        steps.append(Say(octets))


_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)")
_SIMPLE = {"r": b"\r", "n": b"\n", "0": b"\0", "t": b"\t", "\\": b"\\"}


def _unescape(text: str) -> bytes:
    def pieces() -> Iterator[bytes]:
        at = 0
        for match in _ESCAPE.finditer(text):
            yield text[at : match.start()].encode()
            yield bytes([int(match[1][1:], 16)]) if len(match[1]) == 3 else _SIMPLE[match[1]]
            at = match.end()
        yield text[at:].encode()

    return b"".join(pieces())


def cut(dialog: Dialog) -> Iterator[tuple[bytes, int]]:
    """For each octet of what the client says: everything before it, and how many replies would come by then."""
    said, replies = b"", 0
    for step in dialog.steps:
        match step:
            case Say(octets):
                for length in range(1, len(octets) + 1):
                    yield said + octets[:length], replies
                said += octets
            case Expect():
                replies += 1
            case HalfClose():
                return
