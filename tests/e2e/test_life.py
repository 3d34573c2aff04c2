"""The life of the process: its end, its second self, its ports, and a new configuration."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import DOMAIN, Server, notqmail, prepared, serving
from tests.support.smtp_client import SmtpClient
from tests.support.waiting import wait_until


@pytest.fixture
def own() -> Iterator[Server]:
    with serving() as server:
        yield server


def test_sigterm_lets_a_message_finish_and_then_says_421(own: Server) -> None:
    with SmtpClient.greeted(own.port) as client:
        client.envelope("bob@sender.example", "alice@example.org")
        assert client.ask("DATA").startswith("354")
        client.send(b"Subject: begun\r\n\r\n")
        own.signal(signal.SIGTERM)
        _wait_closed(own)
        client.send(b"and ended\r\n.\r\n")

        assert client.reply().startswith("250 2.0.0 ")
        assert client.reply().startswith("421 4.3.2 ")
    assert own.wait_ended() == 0
    own.restart()
    assert b"and ended" in own.wait_mail()[0]


def test_sigterm_tells_idle_clients_421(own: Server) -> None:
    with SmtpClient.greeted(own.port) as client:
        own.signal(signal.SIGTERM)

        assert client.reply().startswith("421 4.3.2 ")
        assert client.reply() == "EOF"
    assert own.wait_ended() == 0


def test_second_server_on_the_same_data_says_so_in_one_line(own: Server) -> None:
    config = own.directory / "second.toml"
    own.configure(
        {f"listen.{i}.bind": ["127.0.0.1:0"] for i in range(3)} | {"web.bind": []}, into=config
    )

    second = notqmail("serve", "-c", str(config))

    assert second.status == 2
    assert _is_one_sentence(second.output)
    assert str(own.directory / "data") in second.output


def test_busy_port_says_so_in_one_line(own: Server, tmp_path: Path) -> None:
    other = prepared(tmp_path / "other")
    other.configure({"listen.0.bind": [own.address]})

    started = notqmail("serve", "-c", str(other.config))

    assert started.status == 2
    assert _is_one_sentence(started.output)
    assert own.address in started.output


def test_unknown_key_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    server = prepared(tmp_path / "server")
    server.configure({"queue.lifetme": "1d"})

    started = notqmail("serve", "-c", str(server.config))

    assert started.status == 2
    assert _is_one_sentence(started.output)
    assert "queue.lifetme" in started.output
    assert "`lifetime`" in started.output


def test_sighup_applies_a_valid_configuration_without_dropping_a_session(own: Server) -> None:
    with SmtpClient.greeted(own.port) as client:
        own.configure({"listen.0.limits.message": "1MB"})
        own.signal(signal.SIGHUP)
        own.wait_log("reload")

        with SmtpClient("127.0.0.1", own.port) as fresh:
            fresh.reply()
            assert "SIZE 1048576" in fresh.ask("EHLO client.example")
        client.envelope("bob@sender.example", "alice@example.org")
        assert client.data(b"Subject: kept\r\n\r\n").startswith("250 ")


def test_sighup_keeps_the_old_configuration_when_the_new_one_is_wrong(own: Server) -> None:
    own.config.write_text(own.config.read_text("utf-8") + "\nnonsense = 1\n", "utf-8")
    own.signal(signal.SIGHUP)
    own.wait_log("nonsense")

    with SmtpClient.greeted(own.port) as client:
        client.envelope("bob@sender.example", "alice@example.org")
        assert client.data(b"Subject: still here\r\n\r\n").startswith("250 ")
    assert "Traceback" not in own.log


def test_new_user_has_mail_without_a_restart(own: Server) -> None:
    assert _answer(own, "carol").startswith("550 5.1.1 ")

    added = own.command("user", "add", f"carol@{DOMAIN}")

    assert added.status == 0, added.output
    wait_until(  # the server looks at the file some times a second
        lambda: _answer(own, "carol").startswith("250 "), 5, lambda: f"carol is unknown\n{own.log}"
    )


def test_mail_handed_in_while_no_server_runs_goes_out_at_the_next_start(own: Server) -> None:
    assert own.stop() == 0
    given = own.command("inject", f"alice@{DOMAIN}", given=b"Subject: waited\n\n")
    assert given.status == 0, given.output

    own.restart()

    own.wait_message("Subject: waited")


def _answer(server: Server, user: str) -> str:
    """What the server says of a recipient."""
    with SmtpClient.greeted(server.port) as client:
        client.ask("MAIL FROM:<bob@sender.example>")
        return client.ask(f"RCPT TO:<{user}@{DOMAIN}>")


def _is_one_sentence(output: str) -> bool:
    lines = [line for line in output.splitlines() if " warning " not in line]
    return len(lines) == 1 and lines[0].startswith("notqmail: ")


def _wait_closed(server: Server) -> None:
    """Until the listener is closed: from then on the server is stopping."""

    def refused() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", server.port)) != 0

    wait_until(refused, 10, lambda: f"still listening\n{server.log}")
