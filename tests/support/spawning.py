"""A spawn helper that starts nothing: it decides as the real one would, within the test."""

import asyncio
from collections.abc import Mapping

from notqmail.mail.errors import AuthUnavailableError
from notqmail.system.spawn import CHECKPASSWORD, SYSTEM


class FakeHelper:
    """spawn_client.Helper. `names` are those it was asked about, `bodies` what it was sent. `status` is what it gives
    when set; `stuck` makes it give nothing, `gone` refuse."""

    def __init__(self, accounts: Mapping[str, str]) -> None:
        self._accounts = {name.encode(): word.encode() for name, word in accounts.items()}
        self.names: list[bytes] = []
        self.bodies: list[bytes] = []
        self.status: int | None = None
        self.stuck = self.gone = False
        self.answers: list[asyncio.Future[int]] = []

    def ask(self, kind: int, body: bytes) -> "asyncio.Future[int]":
        if self.gone:
            raise AuthUnavailableError("the spawn helper does not take requests")
        self.bodies.append(body)
        if kind == CHECKPASSWORD:
            *_, name, password, _, end = body.split(b"\0")
        else:
            assert kind == SYSTEM
            name, password, end = body.split(b"\0")
        assert not end
        self.names.append(name)
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        if self.status is not None:
            answer.set_result(self.status)
        elif not self.stuck:
            answer.set_result(0 if self._accounts.get(name) == password else 1)
        return answer
