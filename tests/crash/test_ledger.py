"""Promises and copies: what counts as lost, and which second copies are faults."""

from tests.crash.ledger import Copy, Ledger, Promise

ALICE = "alice@example.org"


def _ledger(*ids: str, kills: tuple[float, ...] = ()) -> Ledger:
    ledger = Ledger(kills=list(kills))
    for id in ids:
        ledger.promise(id, [ALICE], 100)
    return ledger


def _copy(id: str, at: float = 0.0, octets: int = 100) -> Copy:
    return Copy(Promise(id, ALICE, octets), at)


def test_what_is_found_once_is_in_order() -> None:
    account = _ledger("A", "B").audit([_copy("A"), _copy("B")])

    assert account.clean
    assert (account.promised, account.delivered, account.twice) == (2, 2, 0)


def test_what_is_not_found_is_lost() -> None:
    account = _ledger("A", "B").audit([_copy("A")])

    assert account.lost == (Promise("B", ALICE, 100),)
    assert not account.clean


def test_half_a_message_keeps_no_promise() -> None:
    assert not _ledger("A").audit([_copy("A", octets=50)]).clean


def test_second_copy_after_a_kill_is_in_order() -> None:
    account = _ledger("A", kills=(5.0,)).audit([_copy("A", 4.0), _copy("A", 6.0)])

    assert account.clean
    assert account.twice == 1


def test_second_copy_without_a_kill_is_a_fault() -> None:
    account = _ledger("A", kills=(5.0,)).audit([_copy("A", 6.0), _copy("A", 7.0)])

    assert account.unexplained == (Promise("A", ALICE, 100),)
    assert not account.clean


def test_third_copy_needs_a_second_kill() -> None:
    copies = [_copy("A", 4.0), _copy("A", 6.0), _copy("A", 8.0)]

    assert not _ledger("A", kills=(5.0,)).audit(copies).clean
    assert _ledger("A", kills=(5.0, 7.0)).audit(copies).more == 1


def test_delivered_without_an_answer_is_counted_and_no_fault() -> None:
    account = _ledger().audit([_copy("A")])

    assert account.clean
    assert account.unanswered == 1


def test_forwarded_mail_is_expected_where_it_ends() -> None:
    ledger = Ledger({ALICE: "alice@sink.example"})

    ledger.promise("A", [ALICE], 7)

    assert ledger.promises == {Promise("A", "alice@sink.example", 7)}
    assert ledger.reached == {"alice@sink.example"}


def test_settled_accounts_are_added_up() -> None:
    ledger = _ledger("A")
    ledger.settle(ledger.audit([_copy("A")]))
    ledger.promise("B", [ALICE], 100)
    ledger.settle(ledger.audit([_copy("B")]))

    assert ledger.settled.delivered == 2
    assert ledger.promises == set()
    assert ledger.answered == 2
