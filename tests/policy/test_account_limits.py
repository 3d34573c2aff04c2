"""What is over a limit is taken, and held."""

import pytest

from notqmail.mail.address import Address
from notqmail.mail.errors import SpoolError
from notqmail.mail.login import Login
from notqmail.mail.reply import Reply
from notqmail.mail.sending import LEAST, Hold, SendingLimits
from notqmail.policy.account_limits import HELD_FULL, AccountLimits
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT, Accept, Defer, Verdict
from notqmail.smtp.content import DISK_FULL, STORE_DOWN
from tests.support.clock import EPOCH
from tests.support.policy import ALICE, CAROL, STRANGER, message, session, transaction
from tests.support.sending import MemorySending

LOGIN = Login("alice@example.org")
LIMITS = SendingLimits(messages=2, recipients=5)


async def send(
    sending: MemorySending,
    *to: object,
    login: Login | None = LOGIN,
    limits: SendingLimits = LIMITS,
) -> tuple[Verdict, Transaction]:
    txn = transaction(*(to or (STRANGER,)), within=session(login=login))  # type: ignore[arg-type]
    stage = AccountLimits(sending, limits)
    return await stage.on_message(txn, message(txn)), txn


async def test_within_the_limits_nothing_is_said() -> None:
    sending = MemorySending()

    for _ in range(2):
        verdict, txn = await send(sending)
        assert verdict is ACCEPT
        assert txn.evidence.get(Hold) is None


async def test_the_message_over_a_limit_is_accepted_and_held() -> None:
    sending = MemorySending()
    for _ in range(2):
        await send(sending)

    verdict, txn = await send(sending)

    reason = "3 messages within an hour, submission.messages_per_hour is 2"
    assert verdict == Accept("account held", {"account": "alice@example.org", "reason": reason})
    assert txn.evidence.get(Hold) == Hold("alice@example.org", EPOCH, reason, kept=LEAST)


async def test_of_a_held_account_no_more_is_taken_than_fits() -> None:
    sending = MemorySending()
    limits = SendingLimits(messages=1, kept=2 * LEAST)

    said = [(await send(sending, limits=limits))[0] for _ in range(4)]

    assert said[0] is ACCEPT
    assert [type(verdict) for verdict in said[1:]] == [Accept, Accept, Defer]
    assert said[3] == Defer(
        HELD_FULL, "account held", {"account": "alice@example.org", "kept": 3 * LEAST}
    )


async def test_every_recipient_counts() -> None:
    sending = MemorySending()

    assert (await send(sending, ALICE, CAROL, STRANGER))[0] is ACCEPT
    assert (await send(sending, ALICE, CAROL, STRANGER))[0] != ACCEPT


@pytest.mark.parametrize("spelled", ["ALICE", "Alice@Example.org"])
async def test_another_spelling_of_the_name_is_no_other_account(spelled: str) -> None:
    """A checkpassword program may take any; a hold must not be evaded so."""
    sending = MemorySending()
    address = Address.parse("Alice@Example.org")
    for _ in range(3):
        await send(sending, login=Login("alice", address))

    _, txn = await send(sending, login=Login(spelled, address))

    hold = txn.evidence.get(Hold)
    assert hold is not None
    assert hold.account == "alice@example.org"


async def test_accounts_are_counted_apart() -> None:
    sending = MemorySending()
    for _ in range(3):
        await send(sending)

    assert (await send(sending, login=Login("carol@example.org")))[0] is ACCEPT


async def test_who_has_not_logged_in_is_not_counted() -> None:
    sending = MemorySending()

    assert (await send(sending, login=None))[0] is ACCEPT
    assert sending.sent == {}


@pytest.mark.parametrize(("full", "reply"), [(False, STORE_DOWN), (True, DISK_FULL)])
async def test_what_cannot_be_counted_stays_with_the_client(full: bool, reply: Reply) -> None:
    sending = MemorySending()
    sending.fault = SpoolError("no", full=full)

    verdict, _ = await send(sending)

    assert verdict == Defer(reply, "store")
