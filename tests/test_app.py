"""The whole server in one process: composed, serving, reloaded, stopped."""

import asyncio
import contextlib
import smtplib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from notqmail.app.machine import Machine
from notqmail.app.rules import is_us
from notqmail.app.server import Server
from notqmail.app.start import bind_all
from notqmail.config import load
from notqmail.delivery.remote import RemoteTransport
from notqmail.mail.address import Address
from notqmail.mail.envelope import Envelope, Recipient
from notqmail.mail.errors import ConfigError
from notqmail.mail.hop import Hop
from notqmail.mail.sending import SendingLimits
from notqmail.system.addresses import is_ours
from notqmail.system.control import call
from notqmail.system.descriptors import open_files
from notqmail.system.submission import LocalUser

CONFIG = """
hostname = "mx.example.org"
postmaster = "alice@example.org"

[[listen]]
name = "mx"
kind = "mx"
bind = ["127.0.0.1:0"]

[[domain]]
name = "example.org"

[queue]
free_space = "1MB"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "notqmail.toml").write_text(CONFIG)
    (tmp_path / "users").write_text("alice@example.org -\npelé@example.org -\n")
    (tmp_path / "aliases").write_text("sales@example.org: alice@example.org\n")
    (tmp_path / "data").mkdir(mode=0o711)
    return tmp_path


@contextlib.asynccontextmanager
async def serving(home: Path) -> AsyncIterator[tuple[Server, int]]:
    config = await asyncio.to_thread(load, home / "notqmail.toml")
    sockets = bind_all(config)
    server = await asyncio.to_thread(Server, config, Machine())
    await server.start(sockets)
    try:
        yield server, sockets["mx"][0].getsockname()[1]
    finally:
        await server.stop()


async def send(
    port: int, to: list[str], content: bytes, sender: str = "bob@example.net", **options: Any
) -> Any:
    def talk() -> Any:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
            return client.sendmail(sender, to, content, **options)

    return await asyncio.to_thread(talk)


async def mailbox(home: Path, user: str, count: int) -> list[bytes]:
    """What is in a user's Maildir, when `count` messages are."""
    new = home / "data/mail/example.org" / user / "Maildir/new"
    for _ in range(500):
        found = await asyncio.to_thread(
            lambda: [each.read_bytes() for each in new.iterdir()] if new.is_dir() else []
        )
        if len(found) >= count:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"no {count} messages in {new}")


async def test_a_message_comes_in_by_smtp_and_lies_in_the_maildir(home: Path):
    async with serving(home) as (_, port):
        await send(port, ["Alice+tag@example.org"], b"Subject: hi\r\n\r\nhello\r\n")

        [found] = await mailbox(home, "alice", 1)

    lines = found.decode().split("\n")
    assert lines[:2] == ["Return-Path: <bob@example.net>", "Delivered-To: Alice+tag@example.org"]
    assert lines[2].startswith("Received: from ")
    assert found.endswith(b"\nSubject: hi\n\nhello\n")


async def test_a_refusal_is_found_in_the_journal_by_its_reference(home: Path):
    async with serving(home) as (server, port):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            await send(port, ["nobody@example.org"], b"")
        code, text = refused.value.recipients["nobody@example.org"]
        ref = text.decode().split("[ref ")[1].rstrip("]")
        records = await server.journal.find(ref)

    assert code == 550
    assert [(r["kind"], r["result"], r["from"]) for r in records] == [
        ("transaction", "refused", "bob@example.net")
    ]


async def test_a_stranger_cannot_relay(home: Path):
    async with serving(home) as (_, port):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            await send(port, ["x@elsewhere.example"], b"")

    assert refused.value.recipients["x@elsewhere.example"][0] == 550


async def test_a_utf8_mailbox_is_reached_in_either_normal_form(home: Path):
    async with serving(home) as (_, port):
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        for name in ("pelé", "pele\u0301"):
            await send(port, [f"{name}@example.org"], b"x\r\n", mail_options=options)

        found = await mailbox(home, "pel%C3%A9", 2)

    assert all(b"with UTF8SMTP" in each for each in found)


async def test_mail_from_a_local_program_says_who_sent_it(home: Path):
    async def chunks() -> AsyncIterator[bytes]:
        yield b"Subject: cron\r\n\r\ndone\r\n"

    async with serving(home) as (server, _):
        envelope = Envelope(
            Address.parse("root@mx.example.org"), (Recipient(Address.parse("sales@example.org")),)
        )
        reply = await server.submit(LocalUser(0, "root"), envelope, chunks())
        [found] = await mailbox(home, "alice", 1)

    assert reply.code == 250
    assert b"from user root)" in found


async def test_a_report_has_our_trace_and_no_sender(home: Path):
    async with serving(home) as (_, port):
        await send(
            port,
            ["alice@example.org"],
            b"Subject: x\r\n\r\nx\r\n",
            rcpt_options=["NOTIFY=SUCCESS"],
            sender="sales@example.org",
        )
        found = await mailbox(home, "alice", 2)

    [report] = [each for each in found if b"multipart/report" in each]
    lines = report.split(b"\n")
    assert lines[0] == b"Return-Path: <>"
    assert lines[2].startswith(b"Received: by mx.example.org (notqmail) id ")


async def test_a_reload_takes_new_domains_and_users(home: Path):
    async with serving(home) as (server, port):
        text = CONFIG + '[[domain]]\nname = "example.net"\n'
        (home / "notqmail.toml").write_text(text)
        (home / "users").write_text("alice@example.org -\ncarol@example.net -\n")

        assert await server.reload() == []
        assert await send(port, ["carol@example.net"], b"x\r\n") == {}


async def test_a_reload_that_is_not_valid_changes_nothing(home: Path):
    async with serving(home) as (server, port):
        (home / "notqmail.toml").write_text(CONFIG + "[quue]\n")

        with pytest.raises(ConfigError, match="did you mean `queue`"):
            await server.reload()
        assert await send(port, ["alice@example.org"], b"x\r\n") == {}


async def test_a_reload_says_what_needs_a_restart(home: Path):
    async with serving(home) as (server, _):
        changed = CONFIG.replace("127.0.0.1:0", "127.0.0.1:1").replace('"1MB"', '"2MB"')
        (home / "notqmail.toml").write_text(changed)

        assert await server.reload() == ["queue", "listen"]


async def test_sessions_never_take_the_last_descriptor(
    home: Path, caplog: pytest.LogCaptureFixture
):
    config = home / "notqmail.toml"
    limits = "[listen.limits]\nconnections = 100000000\n\n[[domain]]"
    config.write_text(CONFIG.replace("[[domain]]", limits))

    async with serving(home) as (server, _):
        assert server.listeners["mx"].service.limits.connections < open_files()
    assert "open files allows fewer connections" in caplog.text


async def test_health_and_metrics_are_served_while_it_runs(home: Path, unused_tcp_port: int):
    address = f"127.0.0.1:{unused_tcp_port}"
    (home / "notqmail.toml").write_text(CONFIG + f'[web]\nbind = ["{address}"]\n')
    async with serving(home) as (_, port), aiohttp.ClientSession() as client:
        await send(port, ["alice@example.org"], b"x\r\n")
        async with client.get(f"http://{address}/healthz") as health:
            assert health.status == 200
        async with client.get(f"http://{address}/metrics") as metrics:
            text = await metrics.text()

    assert 'accepted_total{listener="mx"} 1' in text


async def test_a_second_server_on_the_same_data_is_told_so(home: Path):
    async with serving(home):
        config = await asyncio.to_thread(load, home / "notqmail.toml")
        second = await asyncio.to_thread(Server, config, Machine())
        sockets = bind_all(config)
        with pytest.raises(ConfigError, match="another"):
            await second.start(sockets)
        for sock in sockets["mx"]:
            sock.close()


def test_a_busy_port_is_one_sentence_with_its_key(home: Path):
    taken = bind_all(load(home / "notqmail.toml"))["mx"][0]
    port = taken.getsockname()[1]
    (home / "notqmail.toml").write_text(CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{port}"))

    with taken, pytest.raises(ConfigError, match=r"listen\[0\].bind.*in use.*stop it"):
        bind_all(load(home / "notqmail.toml"))


async def test_reload_takes_over_the_way_out(home: Path):
    async with serving(home) as (server, _):
        file = home / "notqmail.toml"
        file.write_text(CONFIG + '[[outbound.to]]\nname = "t"\nsmarthost = "relay.example:587"\n')

        assert await server.reload() == []

        hop = server.resolve(Address.parse("bob@example.net")).hop
        assert hop == Hop("smtp", "relay.example:587;t")
        remote = server.transports["smtp"]
        assert isinstance(remote, RemoteTransport)
        assert [table.name for table in remote._setup.outbound.to] == ["t"]


async def test_reload_with_a_password_that_is_missing_changes_nothing(home: Path):
    login = '[outbound.login]\nuser = "alice"\npassword_file = "none"\n'
    async with serving(home) as (server, _):
        (home / "notqmail.toml").write_text(
            f'{CONFIG}[outbound]\nsmarthost = "relay.example:465"\ntls = "verify"\n{login}'
        )

        with pytest.raises(ConfigError, match="none: No such file"):
            await server.reload()

        found = await asyncio.to_thread(server.resolve, Address.parse("bob@example.net"))
        assert found.hop == Hop("smtp", "example.net")


def test_we_are_who_listens_on_the_port_that_others_deliver_to(home: Path):
    config = load(home / "notqmail.toml")
    test = is_us(config, is_ours)

    assert test("mx.example.org")
    assert not test("127.0.0.1")  # port 25 is not ours here
    assert not test("mx.example.net")


def test_we_are_at_our_own_addresses_when_the_port_is_ours(home: Path):
    text = CONFIG.replace("127.0.0.1:0", "127.0.0.1:2525") + "[outbound]\nport = 2525\n"
    (home / "notqmail.toml").write_text(text)
    test = is_us(load(home / "notqmail.toml"), is_ours)

    assert test("127.0.0.1")
    assert not test("192.0.2.1")
    assert not test("mx.example.net")  # a name is no address


async def test_the_postmaster_is_told_of_a_held_account_and_can_release_it(home: Path):
    async with serving(home) as (server, _):
        bob = Address("bob", "example.net")
        await server.sending.count("carol", [bob, bob], 100, SendingLimits(recipients=1))
        [notice] = await mailbox(home, "alice", 1)
        path = home / "data/control.sock"

        [held] = await asyncio.to_thread(call, path, "account_holds", {})
        done = await asyncio.to_thread(call, path, "account_release", {"account": "carol"})

    assert b"\n    notqmail user release carol\n" in notice
    assert (held["account"], held["messages"]) == ("carol", 0)
    assert done == {"messages": 0, "recipients": 0}


async def test_a_hold_outlives_the_server_and_is_told_of_once(home: Path):
    async with serving(home) as (server, _):
        bob = Address("bob", "example.net")
        await server.sending.count("carol", [bob, bob], 100, SendingLimits(recipients=1))
        await mailbox(home, "alice", 1)
    async with serving(home) as (server, port):
        await send(port, ["alice@example.org"], b"Subject: second\r\n\r\n")
        await mailbox(home, "alice", 2)

        assert [hold.account for hold in await server.sending.holds()] == ["carol"]


CALLBACK = 0.1  # seconds of CPU that one callback may take


async def test_no_callback_of_a_large_message_takes_the_loop_for_long(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    """CPU time of the thread, not wall time: other programs on the machine do not count."""
    longest = [0.0]
    run = asyncio.Handle._run

    def measured(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        longest[0] = max(longest[0], time.thread_time() - began)

    content = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 250_000
    async with serving(home) as (_, port):
        monkeypatch.setattr(asyncio.Handle, "_run", measured)
        await send(port, ["alice@example.org"], content)
        [found] = await mailbox(home, "alice", 1)

    assert len(found) > 19_000_000
    assert 0 < longest[0] < CALLBACK
