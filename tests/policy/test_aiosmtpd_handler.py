"""Handlers written for aiosmtpd, the library's own among them, as a stage."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import Message as Mail
from typing import Any

import pytest
from aiosmtpd.handlers import AsyncMessage, Debugging, Message, Sink
from aiosmtpd.smtp import MISSING
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.address import Address
from notqmail.mail.envelope import Body, Notify, Recipient, Ret
from notqmail.mail.errors import ConfigError
from notqmail.mail.login import Login
from notqmail.mail.message import Message as OurMessage
from notqmail.mail.reply import Reply
from notqmail.policy.aiosmtpd_handler import (
    TOO_LARGE,
    AiosmtpdHandler,
    HandlerServer,
    parse_answer,
)
from notqmail.policy.order import pick_hooks
from notqmail.policy.transaction import Peer
from notqmail.policy.verdict import ACCEPT, Defer, Reject
from tests.support.policy import ALICE, CAROL, TLS, message, pipeline, session, settled, transaction

SERVER = HandlerServer("mx.example.org", data_size_limit=1000)


def stage(handler: object) -> AiosmtpdHandler:
    return AiosmtpdHandler(handler, SERVER)


def answers(said: object, command: str = "RCPT") -> AiosmtpdHandler:
    """A stage whose handler always answers the same to one command."""

    async def hook(self: object, *_: object) -> object:
        return said

    return stage(type("Answers", (), {f"handle_{command}": hook})())


# what a hook returns


@pytest.mark.parametrize("said", [MISSING, "250 OK", "251 will forward", b"250 OK", "250"])
async def test_a_positive_answer_accepts(said: object) -> None:
    assert await settled(answers(said).on_rcpt(transaction(), ALICE)) is ACCEPT


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("550 5.7.1 no", Reply(550, "5.7.1", "no")),
        (b"550 5.7.1 no", Reply(550, "5.7.1", "no")),
        ("550 no", Reply(550, "5.0.0", "no")),
        ("550", Reply(550, "5.0.0", "")),
        ("550 4.7.1 no", Reply(550, "5.0.0", "4.7.1 no")),
        ("550-5.7.1 no\r\n550 5.7.1 never", Reply(550, "5.7.1", "no\nnever")),
        ("550 5.1.1 n\x00\x1b[31m", Reply(550, "5.1.1", "n??[31m")),
    ],
)
async def test_a_5xx_rejects_in_the_words_of_the_handler(said: object, reply: Reply) -> None:
    verdict = await settled(answers(said).on_rcpt(transaction(), ALICE))

    assert verdict == Reject(reply, "handle_RCPT")


async def test_a_4xx_defers() -> None:
    verdict = await settled(answers("450 4.2.0 greylisted").on_rcpt(transaction(), ALICE))

    assert verdict == Defer(Reply(450, "4.2.0", "greylisted"), "handle_RCPT")


@pytest.mark.parametrize(
    "said",
    [
        None,
        True,
        250,
        "",
        "OK",
        "25 OK",
        "250OK",
        "354 go on",
        "199 what",
        "650 what",
        "２５０ OK",
        "550-no\r\n250 yes",
        "250 OK\r\nMAIL FROM:<>",
        "250 OK\r550 no",
        [],
        [250],
    ],
)
async def test_what_is_no_reply_defers_and_is_logged(
    said: object, caplog: pytest.LogCaptureFixture
) -> None:
    verdict = await settled(answers(said).on_rcpt(transaction(), ALICE))

    assert verdict == Defer(Reply(451, "4.3.0", "try again later"), "handle_RCPT gave no reply")
    assert "stage=answers hook=handle_RCPT" in caplog.text


@given(st.text() | st.binary() | st.lists(st.text()))
def test_no_answer_breaks_the_reply(said: object) -> None:
    reply = parse_answer(said)

    assert reply is None or (
        reply.wire.count(b"\r\n") == len(reply.text.split("\n"))
        and reply.enhanced[0] == str(reply.code)[0]
    )


async def test_a_plain_function_answers_at_once() -> None:
    class Plain:
        def handle_RCPT(self, *_: object) -> str:
            return "550 5.7.1 no"

    assert stage(Plain()).on_rcpt(transaction(), ALICE) == Reject(
        Reply(550, "5.7.1", "no"), "handle_RCPT"
    )


async def test_an_exception_is_451_and_says_nothing_of_itself() -> None:
    class Breaks:
        async def handle_RCPT(self, *_: object) -> str:
            raise OSError(28, "No space left on device", "/var/spool/x")

    verdict = await settled(pipeline(stage(Breaks())).rcpt(transaction(), ALICE))

    assert verdict.reply == Reply(451, "4.3.0", "try again later")


# which hooks there are


@pytest.mark.parametrize(
    ("command", "phase"),
    [
        ("HELO", "on_helo"),
        ("EHLO", "on_helo"),
        ("MAIL", "on_mail"),
        ("RCPT", "on_rcpt"),
        ("DATA", "on_message"),
    ],
)
def test_a_phase_the_handler_has_no_hook_for_costs_nothing(command: str, phase: str) -> None:
    async def hook(self: object, server: Any, session: Any, envelope: Any, name: Any) -> str:
        return "250 OK"

    made = stage(type("One", (), {f"handle_{command}": hook})())

    assert [name for name, hooks in pick_hooks([made]).items() if hooks] == [phase]


@pytest.mark.parametrize("handler", [Sink(), object()])
def test_a_handler_without_hooks_is_no_stage(handler: object) -> None:
    with pytest.raises(ConfigError, match=r"no hook that is called.*handle_DATA.*handle_RCPT"):
        stage(handler)


def test_hooks_that_are_never_called_are_named(caplog: pytest.LogCaptureFixture) -> None:
    class Talks:
        async def handle_RCPT(self, *_: object) -> str: ...
        async def handle_QUIT(self, *_: object) -> str: ...
        async def handle_AUTH(self, *_: object) -> str: ...
        def handle_message(self, message: Mail) -> None: ...

    stage(Talks())

    assert "never called stage=talks hooks=AUTH,QUIT" in caplog.text


def test_a_stage_is_named_after_its_handler_or_as_told() -> None:
    assert stage(Debugging()).name == "debugging"
    assert AiosmtpdHandler(Debugging(), SERVER, "dump").name == "dump"


# HELO and EHLO


async def test_each_greeting_has_its_own_hook() -> None:
    class OnlyHelo:
        async def handle_HELO(self, server: Any, session: Any, envelope: Any, hostname: str) -> str:
            return f"550 5.7.1 not {hostname} of {server.hostname}"

    made = stage(OnlyHelo())

    assert await settled(made.on_helo(session(esmtp=True))) is ACCEPT
    refused = await settled(made.on_helo(session()))
    assert refused.reply.text == "not client.example.net of mx.example.org"


async def test_handle_ehlo_may_take_the_lines_of_the_reply_and_give_them_back() -> None:
    class New:
        async def handle_EHLO(
            self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
        ) -> list[str]:
            session.host_name = hostname
            responses.insert(1, "250-XEXAMPLE")
            return ["550 5.7.1 no"] if hostname == "spam.example" else responses

    made = stage(New())

    assert await settled(made.on_helo(session(esmtp=True))) is ACCEPT
    refused = await settled(made.on_helo(session(esmtp=True, helo="spam.example")))
    assert refused == Reject(Reply(550, "5.7.1", "no"), "handle_EHLO")


async def test_handle_ehlo_may_be_of_the_old_form() -> None:
    class Old:
        async def handle_EHLO(self, server: Any, session: Any, envelope: Any, name: str) -> str:
            return "250 HELP"

    assert await settled(stage(Old()).on_helo(session(esmtp=True))) is ACCEPT


def test_handle_ehlo_of_another_form_is_refused_at_start() -> None:
    class Odd:
        async def handle_EHLO(self, server: Any) -> str: ...

    with pytest.raises(ConfigError, match="handle_EHLO takes 1 arguments"):
        stage(Odd())


# what a hook is told


class Keeps:
    """Keeps what each hook was given, and answers as the library's documentation tells handlers to."""

    def __init__(self, refused: str = "") -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.refused = refused

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        session.greeted = True
        return responses

    async def handle_MAIL(
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        self.calls.append(("MAIL", address, options))
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        envelope.noted = "at MAIL"
        return "250 OK"

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        self.calls.append(("RCPT", address, options))
        if address == self.refused:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.calls.append(("DATA", session, envelope))
        return "250 OK"


async def test_the_options_are_those_that_were_given() -> None:
    handler = Keeps()
    txn = transaction(
        size=100, body=Body.EIGHTBIT, smtputf8=True, ret=Ret.HDRS, envid="a b", within=session()
    )
    to = Recipient(ALICE.address, Notify.SUCCESS | Notify.DELAY, "rfc822;a+b@example.org")

    await settled(stage(handler).on_mail(txn))
    await settled(stage(handler).on_rcpt(txn, to))
    await settled(stage(handler).on_rcpt(txn, Recipient(ALICE.address, Notify.NEVER)))

    assert handler.calls == [
        (
            "MAIL",
            "bob@example.net",
            ["SIZE=100", "BODY=8BITMIME", "SMTPUTF8", "RET=HDRS", "ENVID=a+20b"],
        ),
        (
            "RCPT",
            "alice@example.org",
            ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;a+2Bb@example.org"],
        ),
        ("RCPT", "alice@example.org", ["NOTIFY=NEVER"]),
    ]


async def test_the_null_sender_is_written_as_the_library_writes_it() -> None:
    handler = Keeps()
    txn = transaction()
    txn.sender = None

    await settled(stage(handler).on_mail(txn))

    assert handler.calls == [("MAIL", "<>", [])]


async def dialogue(handler: Any, *refused_elsewhere: Recipient) -> tuple[Any, Any]:
    """EHLO, MAIL, RCPT for alice and carol, DATA; the session and envelope that handle_DATA was given."""
    made, txn = stage(handler), transaction(within=session(esmtp=True))
    await settled(made.on_helo(txn.session))
    await settled(made.on_mail(txn))
    for recipient in (ALICE, CAROL):
        accepted = await settled(made.on_rcpt(txn, recipient)) is ACCEPT
        if accepted and recipient not in refused_elsewhere:
            txn.recipients.append(recipient)
    await settled(made.on_message(txn, message(txn)))
    _, known, envelope = handler.calls[-1]
    return known, envelope


async def test_session_and_envelope_are_filled_and_live_from_hook_to_hook() -> None:
    known, envelope = await dialogue(Keeps())

    assert known.peer == ("192.0.2.1", 40000)
    assert (known.host_name, known.extended_smtp, known.greeted) == (
        "client.example.net",
        True,
        True,
    )
    assert (known.ssl, known.authenticated) == (None, None)
    assert (envelope.mail_from, envelope.noted) == ("bob@example.net", "at MAIL")
    assert envelope.rcpt_tos == ["alice@example.org", "carol@example.org"]
    assert envelope.content == envelope.original_content == b"Subject: hi\r\n\r\nhi\r\n"


async def test_only_who_was_accepted_by_all_is_in_the_envelope() -> None:
    _, first = await dialogue(Keeps(), ALICE)
    _, second = await dialogue(Keeps("carol@example.org"))

    assert first.rcpt_tos == ["carol@example.org"]
    assert second.rcpt_tos == ["alice@example.org"]


async def test_what_is_kept_of_a_connection_outlives_a_second_greeting() -> None:
    handler = Keeps()
    made, ours = stage(handler), session(esmtp=True)
    stages = pipeline(made)

    await settled(stages.helo(ours))
    await settled(made.on_message(txn := transaction(ALICE, within=ours), message(txn)))
    ours.helo = "second.example"
    await settled(stages.helo(ours))
    await settled(made.on_message(txn := transaction(ALICE, within=ours), message(txn)))

    (_, first, envelope), (_, second, other) = handler.calls
    assert first is second
    assert first.host_name == "second.example"
    assert envelope is not other


async def test_a_login_and_tls_are_told() -> None:
    handler = Keeps()
    peer = Peer("2001:db8::1", 1024, "2001:db8::2", 25)
    txn = transaction(ALICE, within=session(peer=peer, tls=TLS, login=Login("bob")))

    await settled(stage(handler).on_message(txn, message(txn)))

    _, known, _ = handler.calls[0]
    assert known.peer == ("2001:db8::1", 1024, 0, 0)
    assert known.ssl == {"version": TLS.version, "cipher": TLS.cipher}
    assert (known.authenticated, known.auth_data) == (True, "bob")


async def test_two_handlers_do_not_see_each_others_notes() -> None:
    first, second = Keeps(), Keeps()
    txn = transaction(ALICE)

    await settled(pipeline(stage(first), stage(second)).message(txn, message(txn)))

    assert first.calls[0][1] is not second.calls[0][1]
    assert first.calls[0][2] is not second.calls[0][2]


async def test_the_server_has_what_a_handler_may_read() -> None:
    class Asks:
        async def handle_RCPT(self, server: Any, *_: object) -> str:
            assert server.loop.is_running()
            return f"550 {server.hostname} {server.data_size_limit} {server.enable_SMTPUTF8}"

    verdict = await settled(stage(Asks()).on_rcpt(transaction(), ALICE))

    assert verdict.reply.text == "mx.example.org 1000 True"


# the message


@dataclass
class Spooled:
    """Content that is not in memory."""

    octets: bytes
    whole: None = None

    @property
    def size(self) -> int:
        return len(self.octets)

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.octets), 7):
            yield self.octets[start : start + 7]


async def test_a_message_on_disk_is_read_whole() -> None:
    handler = Keeps()
    txn = transaction(ALICE)
    content = b"Subject: large\r\n\r\n" + b"x" * 900

    said = stage(handler).on_message(txn, OurMessage(txn.envelope, Spooled(content)))
    await settled(said)

    assert handler.calls[0][2].content == content


async def test_a_plain_function_judges_a_message_on_disk_too() -> None:
    class Plain:
        def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            return f"554 5.7.1 {envelope.content.decode()}"

    txn = transaction(ALICE)
    said = stage(Plain()).on_message(txn, OurMessage(txn.envelope, Spooled(b"no spam")))
    verdict = await settled(said)

    assert verdict.reply == Reply(554, "5.7.1", "no spam")


async def test_a_message_over_the_limit_is_refused_unseen() -> None:
    handler = Keeps()
    txn = transaction(ALICE)

    verdict = await settled(stage(handler).on_message(txn, message(txn, b"x" * 1001)))

    assert verdict.reply == TOO_LARGE
    assert handler.calls == []


# handlers of the library


async def test_the_librarys_debugging_handler_prints_the_message() -> None:
    stream = io.StringIO()
    txn = transaction(ALICE, size=20)

    assert await settled(stage(Debugging(stream)).on_message(txn, message(txn))) is ACCEPT

    assert stream.getvalue().splitlines() == [
        "---------- MESSAGE FOLLOWS ----------",
        "mail options: ['SIZE=20']",
        "",
        "Subject: hi",
        "X-Peer: ('192.0.2.1', 40000)",
        "",
        "hi",
        "------------ END MESSAGE ------------",
    ]


class Collects(Message):
    """What users of the library write most."""

    def __init__(self) -> None:
        super().__init__()
        self.mail: list[Mail] = []

    def handle_message(self, message: Mail) -> None:
        self.mail.append(message)


class CollectsLater(AsyncMessage):
    mail: list[Mail]

    async def handle_message(self, message: Mail) -> None:
        self.mail = [message]


@pytest.mark.parametrize("kind", [Collects, CollectsLater])
async def test_a_message_handler_gets_a_parsed_message(kind: type[Any]) -> None:
    handler = kind()
    txn = transaction(ALICE, CAROL)

    assert await settled(stage(handler).on_message(txn, message(txn))) is ACCEPT

    [mail] = handler.mail
    assert (mail["Subject"], mail["X-MailFrom"]) == ("hi", "bob@example.net")
    assert mail["X-RcptTo"] == "alice@example.org, carol@example.org"


async def test_a_handler_cannot_open_a_relay() -> None:
    stranger = Recipient(Address("dave", "example.net"))

    verdict = await settled(pipeline(answers("250 OK")).rcpt(transaction(), stranger))

    assert isinstance(verdict, Reject)


# what is told exactly


@pytest.mark.parametrize("command", ["EHLO", "MAIL", "RCPT", "DATA"])
async def test_every_hook_has_an_envelope_that_knows_smtputf8(command: str) -> None:
    seen = []

    async def hook(self: object, server: Any, known: Any, envelope: Any, *_: object) -> str:
        seen.append(envelope.smtp_utf8)
        return "250 OK"

    judge = stage(type("Sees", (), {f"handle_{command}": hook})())
    txn = transaction(ALICE, within=session(esmtp=True), smtputf8=True)

    match command:
        case "EHLO":
            await settled(judge.on_helo(txn.session))
        case "MAIL":
            await settled(judge.on_mail(txn))
        case "RCPT":
            await settled(judge.on_rcpt(txn, ALICE))
        case _:
            await settled(judge.on_message(txn, message(txn)))

    assert seen == [command != "EHLO"]


@pytest.mark.parametrize(("octets", "accepted"), [(1000, True), (1001, False)])
async def test_a_message_of_exactly_the_limit_is_shown(octets: int, accepted: bool) -> None:
    txn = transaction(ALICE)

    verdict = await settled(answers("250 OK", "DATA").on_message(txn, message(txn, b"x" * octets)))

    expected = Reject(TOO_LARGE, "size for the handler", {"size": octets})
    assert verdict == (ACCEPT if accepted else expected)


def test_lines_of_a_reply_may_end_and_not_begin_in_line_ends() -> None:
    assert parse_answer("550 no\r\n\n") == Reply(550, "5.0.0", "no")
    assert parse_answer("\r\n550 no") is None
    assert parse_answer("550 no ") == Reply(550, "5.0.0", "no ")


def test_a_wrong_handler_is_named_with_what_to_do() -> None:
    class Greedy:
        async def handle_EHLO(self, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> str:
            return "250 OK"

    with pytest.raises(ConfigError) as odd:
        AiosmtpdHandler(Greedy(), SERVER, "house")
    with pytest.raises(ConfigError) as empty:
        AiosmtpdHandler(object(), SERVER, "house")

    assert (odd.value.where, empty.value.where) == ("stage house", "stage house")
    assert odd.value.remedy == "it is given 4, or 5 with the lines of the reply"


async def test_what_is_no_reply_is_shown_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    await settled(answers("nonsense").on_rcpt(transaction(), ALICE))

    assert "hook=handle_RCPT said='nonsense'" in caplog.text


def test_a_line_is_shortened_by_nothing_but_its_end() -> None:
    assert parse_answer("550 no X") == Reply(550, "5.0.0", "no X")


def test_a_deferral_without_an_enhanced_code_gets_that_of_a_deferral() -> None:
    assert parse_answer("450 later") == Reply(450, "4.0.0", "later")


async def test_handle_ehlo_is_shown_the_lines_that_the_library_would_send() -> None:
    shown: list[str] = []

    class Looks:
        async def handle_EHLO(
            self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
        ) -> list[str]:
            shown.extend(responses)
            return responses

    await settled(stage(Looks()).on_helo(session(esmtp=True)))

    assert shown == [
        "250-mx.example.org",
        "250-SIZE 1000",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250 HELP",
    ]


class OnlyData:
    """Keeps the sessions and envelopes of handle_DATA, and names the host as it likes after the first."""

    def __init__(self) -> None:
        self.names: list[str | None] = []
        self.sessions: list[Any] = []
        self.envelopes: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.names.append(session.host_name)
        self.sessions.append(session)
        self.envelopes.append(envelope)
        session.host_name = "renamed.example"
        return "250 OK"


async def test_the_host_is_named_as_it_greeted_until_a_handler_names_it() -> None:
    handler, txn = OnlyData(), transaction(ALICE)
    judge = stage(handler)

    for _ in range(2):
        await settled(judge.on_message(txn, message(txn)))

    assert handler.names == ["client.example.net", "renamed.example"]


async def test_a_handlers_session_has_the_running_loop() -> None:
    handler, txn = OnlyData(), transaction(ALICE)

    await settled(stage(handler).on_message(txn, message(txn)))

    assert handler.sessions[0].loop is asyncio.get_running_loop()


async def test_handle_data_is_told_the_options_of_each_recipient() -> None:
    handler = OnlyData()
    asked = Recipient(ALICE.address, Notify.NEVER, "rfc822;a+b@example.org")
    txn = transaction(asked, CAROL)

    await settled(stage(handler).on_message(txn, message(txn)))

    assert handler.envelopes[0].rcpt_options == ["NOTIFY=NEVER", "ORCPT=rfc822;a+2Bb@example.org"]
