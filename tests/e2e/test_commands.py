"""The command line beside a running server: over its sockets, and through the drop directory when it is down."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import Ran
from tests.support.server import Server, notqmail, prepared
from tests.support.smtp_client import SmtpClient
from tests.support.waiting import free_port, wait_until

SENDMAIL = str(Path(sys.executable).with_name("sendmail"))
TO_BOB = b"Subject: to bob\nTo: bob@example.net\n\nhello\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose way out is closed, so that what leaves waits."""
    settings = {"outbound.smarthost": f"127.0.0.1:{free_port()}"}
    server = prepared(tmp_path_factory.mktemp("commands") / "server", settings=settings)
    server.start()
    yield server
    server.close()


@pytest.fixture
def waiting(server: Server) -> Iterator[str]:
    """The id of a message that waits for its next attempt."""
    sent = server.command("inject", given=TO_BOB)
    id = sent.output.split()[-1]

    def deferred() -> bool:
        return '"deferred"' in listed(server, "--to", "bob@example.net").output

    wait_until(deferred, 20, lambda: f"{sent.output}\n{server.log}")
    yield id
    server.command("queue", "delete", "--all", "--yes")


def listed(server: Server, *filters: str) -> Ran:
    return server.command("queue", "list", "--json", *filters)


def test_what_waits_is_listed_shown_and_written_out(server: Server, waiting: str) -> None:
    row = json.loads(listed(server).output)
    assert (row["id"], row["recipient"], row["attempts"]) == (waiting, "bob@example.net", 1)

    shown = server.command("queue", "show", waiting)
    assert "bob@example.net" in shown.output
    assert shown.status == 0

    message = server.command("queue", "cat", waiting).output
    assert message.startswith("Received: by mx.example.org")
    assert message.endswith("Subject: to bob\r\nTo: bob@example.net\r\n\r\nhello\r\n")


def test_hold_release_retry_and_delete(server: Server, waiting: str) -> None:
    assert server.command("queue", "hold", waiting).output == "held: 1 recipient of 1 message\n"
    assert json.loads(listed(server, "--held").output)["id"] == waiting
    assert server.command("queue", "release", waiting).status == 0

    attempts = json.loads(listed(server).output)["attempts"]
    assert server.command("queue", "retry", waiting).status == 0
    wait_until(
        lambda: json.loads(listed(server).output)["attempts"] > attempts, 20, lambda: server.log
    )

    assert server.command("queue", "delete", waiting, "--yes").status == 0
    assert listed(server).output == ""
    assert server.command("queue", "show", waiting).status == 1


def test_why_tells_the_whole_story(server: Server, waiting: str) -> None:
    def told() -> str:
        return server.command("why", waiting).output

    wait_until(lambda: "attempt 1" in told(), 20, told)  # the journal is written in batches

    assert "was accepted" in told()
    assert "injected by local user" in told()
    records = server.command("why", "bob@example.net", "--json").output.splitlines()
    assert waiting in {json.loads(record).get("id") for record in records}


def test_a_refusal_is_found_by_its_reference(server: Server) -> None:
    with SmtpClient.greeted(server.port) as client:
        client.ask("MAIL FROM:<bob@sender.example>")
        refused = client.ask("RCPT TO:<nobody@example.org>")
        client.ask("QUIT")
    reference = refused.rpartition("[ref ")[2].rstrip("]")

    def told() -> str:
        return server.command("why", reference).output

    wait_until(lambda: "no such mailbox" in told(), 20, lambda: f"{refused}\n{told()}")


def test_a_new_domain_has_mail_without_a_restart(server: Server) -> None:
    assert server.command("domain", "add", "new.example").output == "added new.example\n"
    server.command("alias", "add", "info@new.example", "alice@example.org")

    def answer() -> str:
        return server.command("resolve", "info@new.example").output

    wait_until(lambda: "→ local alice@example.org" in answer(), 5, answer)
    assert server.command("check").status == 0


def test_reload_takes_a_valid_change_and_names_what_needs_a_restart(server: Server) -> None:
    before = server.config.read_text("utf-8")
    server.configure({"queue.lifetime": "3d"})
    try:
        assert server.command("reload").output == "reloaded\na change of queue needs a restart\n"
        server.configure({"queue.lifetime": "3 parsecs"})
        failed = notqmail("reload", "-c", str(server.config))
        assert failed.status == 2
    finally:
        server.config.write_text(before, "utf-8")


def test_the_installed_sendmail_hands_in_mail(server: Server) -> None:
    ended = subprocess.run(
        [SENDMAIL, "-i", "-f", "cron@example.org", "alice"],
        input=b"Subject: from cron\n\n10%\r20%\n",
        env=os.environ | {"NOTQMAIL_CONFIG": str(server.config)},
        check=False,
    )

    assert ended.returncode == 0
    message = server.wait_message("Subject: from cron")
    assert b"Return-Path: <cron@example.org>" in message
    assert b"10%" in message


def test_mail_that_was_handed_in_while_it_was_down_goes_out_at_the_start(server: Server) -> None:
    server.stop()
    try:
        sent = server.command("inject", "alice@example.org", given=b"Subject: waited\n\n")
        assert sent.output == "no server runs: the message waits for its start\n"
        assert notqmail("reload", "-c", str(server.config)).status == 2
        assert listed(server).status == 0
    finally:
        server.restart()

    message = server.wait_message("Subject: waited")
    assert b"from user" in message
    assert list((server.directory / "data" / "drop").iterdir()) == []


def test_a_second_server_is_refused_and_the_queue_stays_with_the_first(server: Server) -> None:
    (server.directory / "data" / "control.sock").rename(server.directory / "data" / "hidden")
    try:
        ended = listed(server)
        assert ended.status == 2
        assert "is using this data directory" in ended.output
    finally:
        (server.directory / "data" / "hidden").rename(server.directory / "data" / "control.sock")


def test_bans_are_live_and_outlive_the_server(server: Server) -> None:
    assert server.command("ban", "add", "203.0.113.7", "--for", "1h").status == 0
    server.wait_log("banned network=203.0.113.7/32")

    server.stop()
    server.restart()

    row = json.loads(server.command("ban", "list", "--json").output)
    assert (row["network"], row["why"]) == ("203.0.113.7", "by hand")
    assert server.command("ban", "lift", "203.0.113.0/24").output == "lifted 203.0.113.7\n"
    assert server.command("ban", "lift", "203.0.113.0/24").status == 1
