"""How a session with another server was protected: what the log, the journal and the metrics say of it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """From the strongest down. `refused`: what was to be had was less than what was demanded."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    CLEAR = "clear"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Protection:
    """`version` and `cipher` are those of TLS, "" in clear. `why` says what was proved, or what kept us from more."""

    level: Level
    version: str = ""
    cipher: str = ""
    why: str = ""

    def __str__(self) -> str:
        words = [self.version, self.cipher, _WORDS[self.level]]
        text = " ".join(word for word in words if word)
        return f"{text}: {self.why}" if self.why else text


_WORDS = {
    Level.VERIFIED: "verified",
    Level.UNVERIFIED: "not verified",
    Level.CLEAR: "in clear",
    Level.REFUSED: "not protected enough",
}
