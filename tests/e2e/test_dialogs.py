"""Every dialogue of tests/dialogs, held with the real server over a real socket."""

from collections.abc import Iterator

import pytest

from tests.support.dialog import Dialog, dialogs, play
from tests.support.server import Server, serving
from tests.support.smtp_client import SmtpClient

ALL = dialogs()

WITHOUT_TLS = {"listen.0.tls": False}


def _hold(dialog: Dialog, server: Server) -> None:
    """Play it; exactly the mail it promises must arrive."""
    before = server.mail_count()
    with SmtpClient("127.0.0.1", server.port) as client:
        play(dialog, client)
    expected = before + dialog.mail["alice"]
    server.wait_mail(count=expected)
    assert server.queue_is_empty()
    assert server.mail_count() == expected


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """In memory, where the same dialogues are played, there are no certificates."""
    with serving(settings=WITHOUT_TLS) as running:
        yield running


@pytest.mark.parametrize("dialog", [d for d in ALL if not d.settings], ids=str)
def test_dialog_goes_as_written(dialog: Dialog, server: Server) -> None:
    _hold(dialog, server)


@pytest.mark.parametrize("dialog", [d for d in ALL if d.settings], ids=str)
def test_dialog_with_settings_goes_as_written(dialog: Dialog) -> None:
    with serving(settings={**WITHOUT_TLS, **dialog.settings}) as server:
        _hold(dialog, server)
