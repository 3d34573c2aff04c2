"""How many may come at once, and how many from one address."""

import contextlib

from tests.support.server import serving
from tests.support.smtp_client import SmtpClient
from tests.support.waiting import free_port


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


def test_ipv6_client_is_served_and_its_network_has_its_own_limit() -> None:
    port = free_port()
    settings = {
        "listen.0.bind": [f"[::1]:{port}"],
        "listen.0.limits.connections_per_ipv6": 1,
    }
    with serving(settings=settings) as server:
        with SmtpClient("::1", port) as client:
            client.reply()
            client.ask("EHLO client.example")
            client.envelope("bob@sender.example", "alice@example.org")
            assert client.data(b"Subject: six\r\n\r\n").startswith("250 ")
            with SmtpClient("::1", port) as second:
                assert second.reply().startswith("421 4.")

        assert b"([IPv6:::1])" in server.wait_message("Subject: six")
