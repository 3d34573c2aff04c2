"""How many may come at once, and how many from one address."""

import contextlib

from tests.support.server import serving
from tests.support.smtp_client import SmtpClient


def test_one_connection_too_many_is_told_421_and_a_free_place_is_given_again() -> None:
    with (
        serving(settings={"listen.0.limits.connections": 3}) as server,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(SmtpClient.greeted(server.port)) for _ in range(3)]
        with SmtpClient("127.0.0.1", server.port) as fourth:
            assert fourth.reply().startswith("421 4.")
            assert fourth.reply() == "EOF"

        assert clients[0].ask("QUIT").startswith("221 ")
        assert clients[0].reply() == "EOF"
        with SmtpClient("127.0.0.1", server.port) as fifth:
            assert fifth.reply().startswith("220 ")


def test_one_address_has_its_own_limit() -> None:
    with (
        serving(settings={"listen.0.limits.connections_per_ipv4": 2}) as server,
        SmtpClient.greeted(server.port),
        SmtpClient.greeted(server.port),
        SmtpClient("127.0.0.1", server.port) as third,
    ):
        assert third.reply().startswith("421 4.")
