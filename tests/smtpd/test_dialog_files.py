"""Every dialogue of tests/dialogs, held in memory; tests/e2e holds them again over a socket."""

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from notqmail import config
from notqmail.policy.helo import HeloSyntax
from notqmail.policy.recipients import Recipients
from notqmail.policy.transaction import Peer, Session
from notqmail.queue.route import Router
from notqmail.smtpd.dialogue import Dialogue, Work
from tests.support.dialog import Dialog, dialogs, play
from tests.support.directory import MemoryDirectory
from tests.support.server import apply
from tests.support.smtp_client import END
from tests.support.smtpd import Intake, service


class Memory:
    """The server's side of a dialogue without sockets, time or tasks."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._heard = b""
        _finish(dialogue.open())

    def send(self, octets: bytes) -> None:
        self._dialogue.feed(octets)
        while (work := self._dialogue.advance()) is not None:
            _finish(work)

    def half_close(self) -> None:
        self._dialogue.close()

    def reply(self) -> str:
        self._heard += b"".join(self._dialogue.out)
        self._dialogue.out.clear()
        lines = []
        while self._heard:
            line, _, self._heard = self._heard.partition(b"\r\n")
            lines.append(line.decode())
            if line[3:4] != b"-":
                return "\n".join(lines)
        return END if self._dialogue.closed else "nothing was said"


def _finish(work: Work | None) -> None:
    """Run a coroutine that has nothing to wait for, because everything it asks is in memory. On a slow machine it
    may give others a turn of the loop that is not there."""
    with suppress(StopIteration):
        while work is not None:
            assert work.send(None) is None


def _configured(settings: dict[str, Any]) -> config.Config:
    document: dict[str, Any] = {
        "hostname": "mx.example.org",
        "domain": [{"name": "example.org"}],
        "listen": [{"name": "mx", "kind": "mx", "bind": ["127.0.0.1:2025"]}],
    }
    apply(settings, document)
    return config.parse(document, Path("notqmail.toml"))


@pytest.mark.parametrize("dialog", dialogs(), ids=str)
def test_dialog_goes_as_written(dialog: Dialog) -> None:
    settings = _configured(dialog.settings)
    everybody = MemoryDirectory(mailboxes=["alice@example.org"])
    router = Router(everybody, settings, lambda address: address.is_loopback)
    intake = Intake()
    made = service(
        [HeloSyntax(), Recipients(router.judge)],
        limits=settings.listen[0].limits,
        local=frozenset({"example.org", "[127.0.0.1]"}),
        intake=intake,
    )
    client = Peer("127.0.0.1", 1024, "127.0.0.1", 25)

    play(dialog, Memory(Dialogue(Session("s1", "mx", "mx", client), made)))

    assert Counter(["alice"] * len(intake.accepted)) == dialog.mail
