"""What the world saw of every message: handed in, accepted, doubted, delivered, reported. The server knows nothing of it.

A letter is known by the number in its header, an acceptance by the queue id in the reply, a copy by both: our Received
field names the id. So it can be said of each copy which acceptance it comes from.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.simulation.trace import Trace

NUMBER = re.compile(rb"^X-Simulation: (\d+)\r?$", re.MULTILINE | re.IGNORECASE)
_ID = re.compile(rb"^Received: .*?\bid ([0-9A-Z]{14})\b", re.MULTILINE | re.DOTALL)
QUEUED = re.compile(r"queued as ([0-9A-Z]{14})")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that somebody wants delivered. `sender` "" is the null reverse-path."""

    number: int
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    requiretls: bool = False


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The server has taken responsibility: 250 to the end of the message. Times are virtual seconds."""

    letter: Letter
    recipients: tuple[str, ...]
    id: str
    at: float


@dataclass(frozen=True, slots=True)
class Doubt:
    """The whole message was sent and no reply came: it may be in the queue or not."""

    letter: Letter
    recipients: tuple[str, ...]
    at: float


@dataclass(slots=True)
class Copy:
    """A message at a place where the server brought it. `confirmed` when the server must have read the reply. Its last
    octet may have come any time between `began` and `at`, when it was taken."""

    where: str
    sender: str
    recipients: tuple[str, ...]
    octets: bytes
    at: float
    tls: bool = False
    confirmed: bool = False
    began: float = math.inf

    @property
    def id(self) -> str:
        """The queue id that our topmost Received names; "" without one."""
        found = _ID.search(self.octets)
        return found[1].decode() if found else ""

    @property
    def number(self) -> int:
        """The number of the letter, 0 for what has none in its own header."""
        head = self.octets.partition(b"\n\r\n" if b"\r\n" in self.octets else b"\n\n")[0]
        found = NUMBER.search(head + b"\n")
        return int(found[1]) if found else 0


@dataclass(slots=True)
class Ledger:
    """`interruptions` are the times at which the server was killed or stopped, `disturbances` spans in which it could
    not work: down, disk full, clock set."""

    trace: Trace
    letters: dict[int, Letter] = field(default_factory=dict)
    acceptances: list[Acceptance] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    interruptions: list[float] = field(default_factory=list)
    disturbances: list[tuple[float, float]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def write(self, letter: Letter) -> Letter:
        """Note a letter that will be handed in."""
        self.letters[letter.number] = letter
        return letter

    def accepted(self, letter: Letter, recipients: Iterable[str], reply: str, at: float) -> None:
        """Note a 250 to the end of a message."""
        found = QUEUED.search(reply)
        id = found[1] if found else ""
        who = tuple(recipients)
        self.trace.note("ledger", "%d accepted as %s for %s", letter.number, id, " ".join(who))
        self.acceptances.append(Acceptance(letter, who, id, at))

    def doubted(self, letter: Letter, recipients: Iterable[str], at: float) -> None:
        """Note a message of which nobody knows."""
        who = tuple(recipients)
        self.trace.note("ledger", "%d in doubt for %s", letter.number, " ".join(who))
        self.doubts.append(Doubt(letter, who, at))

    def took(self, copy: Copy) -> Copy:
        """Note a copy that a peer has taken."""
        self.trace.note(
            "ledger",
            "%s took %d %s for %s",
            copy.where,
            copy.number,
            copy.id,
            " ".join(copy.recipients),
        )
        self.copies.append(copy)
        return copy


@dataclass(frozen=True, slots=True)
class Told:
    """What a report says of one recipient."""

    id: str
    recipient: str
    action: str


_STATUS = re.compile(
    r"^Final-Recipient: rfc822; ?(?P<recipient>\S+)$.*?^Action: (?P<action>\w+)$.*?^Final-Log-ID: (?P<id>\S+)$",
    re.MULTILINE | re.DOTALL,
)
_BOUNDARY = re.compile(rb'^\s*boundary="([^"]+)"\r?$', re.MULTILINE)
_MESSAGE_ID = re.compile(rb"^Message-ID: <([^@>]+)@", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Report:
    """A delivery status notification as read: its own queue id, what it tells, and the report it returns, if any."""

    id: str
    told: tuple[Told, ...]
    about: "Report | None" = None

    def chain(self) -> Iterator["Report"]:
        """The report and what it returns."""
        yield self
        if self.about is not None:
            yield from self.about.chain()


def read_report(octets: bytes) -> Report | None:
    """Read a message as a report of ours; None when it is none."""
    text = octets.replace(b"\r\n", b"\n")
    head = text.partition(b"\n\n")[0]
    boundary, name = _BOUNDARY.search(head), _MESSAGE_ID.search(head)
    if b"multipart/report" not in head or boundary is None or name is None:
        return None
    parts = text.split(b"--" + boundary[1])
    if len(parts) < 4:  # a report of which only the header was returned
        return None
    status = re.sub(r"\n[ \t]+", " ", parts[2].decode("utf-8", "replace"))
    told = tuple(
        Told(m["id"], m["recipient"].lower(), m["action"]) for m in _STATUS.finditer(status)
    )
    returned = parts[3].partition(b"\n\n")[2]
    return Report(name[1].decode(), told, read_report(returned))
