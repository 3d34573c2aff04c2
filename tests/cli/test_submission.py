"""inject and sendmail: what programs hand in, completed, and never lost."""

import json
import os
import pwd
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from notqmail.cli.sendmail import Status
from notqmail.mail.envelope import Body, Notify, Ret
from notqmail.mail.errors import SpoolError
from notqmail.mail.reply import Reply
from tests.support.commands import Ended, init, notqmail, run_sendmail
from tests.support.inject_thread import injecting
from tests.support.submitting import Submissions

ME = f"{pwd.getpwuid(os.geteuid()).pw_name}@mx.example.org"
MESSAGE = b"Date: today\nMessage-ID: <a@b>\nFrom: me@example.org\nTo: alice@example.org\n\nbody\n"
SENT = MESSAGE.replace(b"\n", b"\r\n")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return init(tmp_path / "x")


def inject(config: Path, *arguments: object, given: bytes = MESSAGE) -> Ended:
    return notqmail("inject", *arguments, "-c", config, given=given)


def sendmail(config: Path, *arguments: object, given: bytes = MESSAGE) -> Ended:
    return run_sendmail("-C", config, *arguments, given=given)


def handed(config: Path, *arguments: object, given: bytes = MESSAGE) -> Any:
    """Give user, envelope and content of what sendmail handed in."""
    queue = Submissions()
    with injecting(config.parent / "data", queue):
        ended = sendmail(config, *arguments, given=given)
    assert (ended.status, ended.err) == (0, "")
    return queue.taken[0]


def waiting(config: Path) -> list[tuple[dict[str, Any], bytes]]:
    """Give what waits in the drop directory."""
    found = []
    for path in (config.parent / "data" / "drop").iterdir():
        head, _, content = path.read_bytes().partition(b"\n")
        found.append((json.loads(head), content))
    return found


def test_the_message_and_its_envelope_arrive(config: Path) -> None:
    user, envelope, content = handed(config, "-i", "bob@example.net", "alice@example.org")

    assert user.uid == os.geteuid()
    assert str(envelope.sender) == ME
    assert [str(r.address) for r in envelope.recipients] == ["bob@example.net", "alice@example.org"]
    assert content == SENT
    assert envelope.body is None
    assert not envelope.smtputf8


def test_inject_says_what_the_server_said(config: Path) -> None:
    queue = Submissions(Reply(250, "2.0.0", "queued as DC1"))
    with injecting(config.parent / "data", queue):
        ended = inject(config, "bob@example.net")

    assert (ended.status, ended.out) == (0, "queued as DC1\n")


def test_the_header_names_recipients_and_bcc_is_not_told(config: Path) -> None:
    message = b"To: alice\nCc: Bob <bob@example.net>\nBcc: eve@example.com\n\n"

    _, envelope, content = handed(config, "-t", "-i", "carol@example.org", given=message)

    assert [str(r.address) for r in envelope.recipients] == [
        "carol@example.org",
        "alice@example.org",
        "bob@example.net",
        "eve@example.com",
    ]
    assert b"eve" not in content


def test_what_is_missing_is_added(config: Path) -> None:
    _, _, content = handed(config, "-i", "-F", "Ann Other", "root", given=b"no header\n")

    header, _, body = content.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in header.split(b"\r\n")]
    assert names == [b"Date", b"Message-ID", b"From"]
    assert header.endswith(f'From: "Ann Other" <{ME}>'.encode())
    assert body == b"no header\r\n"


def test_the_given_sender_is_used_in_the_envelope_and_in_from(config: Path) -> None:
    _, envelope, content = handed(config, "-i", "-falice@example.org", "b@c", given=b"\n")

    assert str(envelope.sender) == "alice@example.org"
    assert b"From: alice@example.org\r\n" in content


@pytest.mark.parametrize("null", ["", "<>"])
def test_the_null_sender_is_null(config: Path, null: str) -> None:
    _, envelope, _ = handed(config, "-i", "-f", null, "b@c")

    assert envelope.sender is None


def test_a_sender_without_a_domain_is_of_this_host(config: Path) -> None:
    assert str(handed(config, "-i", "-r", "www", "b@c")[1].sender) == "www@mx.example.org"


def test_what_the_sender_wants_to_hear_is_passed_on(config: Path) -> None:
    _, envelope, _ = handed(config, "-i", "-N", "failure,delay", "-R", "hdrs", "-V", "id 7", "b@c")

    assert envelope.recipients[0].notify == Notify.FAILURE | Notify.DELAY
    assert (envelope.ret, envelope.envid) == (Ret.HDRS, "id 7")
    assert handed(config, "-i", "-N", "never", "b@c")[1].recipients[0].notify == Notify.NEVER


@pytest.mark.parametrize(
    ("message", "body", "smtputf8"),
    [
        (b"Subject: a\n\nb\n", None, False),
        (b"Subject: a\n\n\xc3\xa4\n", Body.EIGHTBIT, False),
        ("Subject: ä\n\nb\n".encode(), Body.EIGHTBIT, True),
        (b"Subject: \xe4\n\nb\n", Body.EIGHTBIT, False),
    ],
)
def test_the_envelope_says_what_the_way_must_carry(
    config: Path, message: bytes, body: Body | None, smtputf8: bool
) -> None:
    _, envelope, _ = handed(config, "-i", "b@c", given=message)

    assert (envelope.body, envelope.smtputf8) == (body, smtputf8)


def test_an_international_address_is_said_to_be(config: Path) -> None:
    assert handed(config, "-i", "jörg@example.org")[1].smtputf8


def test_a_line_with_a_dot_ends_the_message_unless_told_otherwise(config: Path) -> None:
    message = b"Subject: a\n\nx\n.\ny\n"

    assert handed(config, "b@c", given=message)[2].endswith(b"\r\n\r\nx\r\n")
    for option in ("-i", "-oi", "-ti"):
        assert handed(config, option, "b@c", given=message)[2].endswith(b"x\r\n.\r\ny\r\n")


def test_a_dot_in_front_of_a_line_is_part_of_it(config: Path) -> None:
    assert handed(config, "b@c", given=b"\n..\n.x\n")[2].endswith(b"\r\n\r\n..\r\n.x\r\n")


def test_a_large_message_goes_through_whole(config: Path) -> None:
    body = (b"x" * 70 + b"\n") * 40_000

    content = handed(config, "-i", "b@c", given=b"Subject: large\n\n" + body)[2]

    assert content.endswith(b"\r\n\r\n" + body.replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("program", [inject, sendmail])
def test_without_a_server_the_message_waits(config: Path, program: Any) -> None:
    ended = program(config, "bob@example.net")

    assert ended.status == 0
    ((head, content),) = waiting(config)
    assert content == SENT
    assert head["size"] == len(SENT)
    assert head["submission"] == {"recipients": ["bob@example.net"]}


def test_a_server_that_dies_half_way_loses_nothing(config: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(config.parent / "data" / "inject.sock"))
        listening.listen()
        gone = threading.Thread(target=lambda: listening.accept()[0].close())
        gone.start()

        assert sendmail(config, "-i", "b@c").status == 0
        gone.join()

    assert [content for _, content in waiting(config)] == [SENT]


@pytest.mark.root
def test_where_it_cannot_wait_the_caller_keeps_it(config: Path) -> None:
    (config.parent / "data" / "drop").rmdir()

    ended = sendmail(config, "-i", "b@c")
    assert ended.status == Status.TEMPFAIL
    assert "start the server, then try again" in ended.err
    assert inject(config, "b@c").status == 2


@pytest.mark.parametrize(
    ("reply", "status", "inject_status"),
    [
        (Reply(550, "5.1.1", "no such mailbox"), Status.NOUSER, 1),
        (Reply(552, "5.3.4", "too large"), Status.UNAVAILABLE, 1),
        (Reply(554, "5.6.0", "a long line"), Status.DATAERR, 1),
        (Reply(501, "5.5.4", "the envelope id"), Status.USAGE, 1),
        (Reply(452, "4.3.1", "no space"), Status.TEMPFAIL, 2),
    ],
)
def test_a_refusal_has_its_status(
    config: Path, reply: Reply, status: Status, inject_status: int
) -> None:
    with injecting(config.parent / "data", Submissions(reply)):
        by_sendmail = sendmail(config, "-i", "b@c")
        by_inject = inject(config, "b@c")

    assert (by_sendmail.status, by_inject.status) == (status, inject_status)
    assert by_sendmail.err == f"sendmail: {reply}\n"
    assert str(reply) in by_inject.err
    assert waiting(config) == []


def test_trouble_of_the_store_is_a_temporary_failure(config: Path) -> None:
    with injecting(config.parent / "data", Submissions(trouble=SpoolError("disk", full=True))):
        assert sendmail(config, "-i", "b@c").status == Status.TEMPFAIL


@pytest.mark.parametrize(
    ("arguments", "message", "status", "sentence"),
    [
        ([], MESSAGE, Status.USAGE, "no recipients"),
        (["-t"], b"Subject: a\n\n", Status.USAGE, "no recipients"),
        (["-t"], b"To: a@b, x y z\n\n", Status.DATAERR, "'x y z' is no address; nothing was sent"),
        (["a b@c"], MESSAGE, Status.DATAERR, "'a b@c' is no address"),
        (["-f", "a b", "b@c"], MESSAGE, Status.DATAERR, "the sender 'a b' is no address"),
        (["-f", "a@b, c@d", "b@c"], MESSAGE, Status.DATAERR, "is no address"),
        (["b@c"], b"A: b\rBcc: c@d\n\n", Status.DATAERR, "has a bare CR"),
        (["-N", "soon", "b@c"], MESSAGE, Status.USAGE, "-N soon"),
        (["-R", "all", "b@c"], MESSAGE, Status.USAGE, "-R all"),
        (["-bs"], MESSAGE, Status.USAGE, "-bs is not available"),
        (["-bd"], MESSAGE, Status.USAGE, "-bd is not available"),
        (["-q"], MESSAGE, Status.USAGE, "queue retry --all"),
        (["-Z", "b@c"], MESSAGE, Status.USAGE, "-Z not recognized"),
    ],
)
def test_what_cannot_be_sent_is_told(
    config: Path, arguments: list[str], message: bytes, status: Status, sentence: str
) -> None:
    ended = sendmail(config, *arguments, given=message)

    assert ended.status == status
    assert sentence in ended.err
    assert ended.err.count("\n") == 1
    assert waiting(config) == []


def test_a_message_over_the_limit_is_not_sent(config: Path) -> None:
    config.write_text(config.read_text().replace('#message = "50MB"', 'message = "1KB"'))

    ended = sendmail(config, "-i", "b@c", given=b"\n" + b"x\n" * 2000)

    assert (ended.status, "larger than 1024 octets" in ended.err) == (Status.DATAERR, True)


def test_a_configuration_that_is_not_there_has_its_status(tmp_path: Path) -> None:
    assert sendmail(tmp_path / "none", "b@c").status == Status.CONFIG


def test_options_of_other_sendmails_are_taken(config: Path) -> None:
    options = ["-B8BITMIME", "-oem", "-odb", "-O", "x=y", "-v", "-m", "-n", "-G", "-U", "-L", "tag"]

    assert str(handed(config, *options, "-bm", "-i", "b@c")[1].recipients[0].address) == "b@c"


def test_the_queue_is_listed(config: Path) -> None:
    assert "the queue is empty" in sendmail(config, "-bp").out
    assert sendmail(config, "-bi").status == 0


def test_help_names_what_is_missing(config: Path) -> None:
    ended = run_sendmail("--help")

    assert ended.status == 0
    assert "-bs and -bd are not available" in ended.out
    assert "example: " in ended.out


def test_inject_reads_the_header_when_nobody_is_named(config: Path) -> None:
    inject(config, "--notify", "never", "--ret", "full", "--envid", "x", "-F", "Me")

    ((head, _),) = waiting(config)
    assert head["submission"] == {
        "recipients": ["alice@example.org"],
        "notify": ["NEVER"],
        "ret": "FULL",
        "envid": "x",
    }


@pytest.mark.parametrize("envid", ["", "j\u00fcrgen", "\udcdc", "x" * 101])
def test_an_envelope_id_that_no_server_takes_is_refused_before_it_waits(
    config: Path, envid: str
) -> None:
    ended = sendmail(config, "-V", envid, "bob@example.net")

    assert ended.status == Status.DATAERR
    assert "envelope id is not 1 to 100 printable characters" in ended.err
    assert not waiting(config)
