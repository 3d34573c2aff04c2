"""Where relayed mail ends: a server that takes everything, and keeps of each message whose it was and when it came."""

import time
from dataclasses import dataclass, field

from tests.crash.ledger import Copy, Promise
from tests.crash.message import recognised


@dataclass(slots=True)
class Copies:
    """`copies` is what was answered 250."""

    copies: list[Copy] = field(default_factory=list)

    def take(self, content: bytes, recipients: list[str]) -> None:
        """Note a message as it was on the wire."""
        id, octets = recognised(content)
        self.copies += [Copy(Promise(id, each, octets), time.time()) for each in recipients]
