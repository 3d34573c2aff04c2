"""What the rules of the simulation find in a ledger that was written by hand."""

from collections.abc import Callable, Iterator

import pytest

from tests.simulation.invariants import Findings, guarded, honest, kept, once, silent
from tests.simulation.ledger import Acceptance, Copy, Doubt, Ledger, Letter
from tests.simulation.plan import make_plan
from tests.simulation.trace import Trace

PLAN = make_plan(0, ("plain",), ("good",), ("crash",))
ID, OTHER = "DD4X40176WV0CS", "DD4X40176WV0CT"
BODY = b"X-Simulation: 1\r\n\r\nhello\r\n"
TRACE = b"Received: from a by mx.example.org (notqmail)\r\n\twith ESMTP id %b; now\r\n"
PEER = "192.0.2.1"


class Book:
    """A ledger with one letter from ann@d1.example to fred@d0.example, and what is written into it."""

    def __init__(self, sender: str = "ann@d1.example", *, requiretls: bool = False) -> None:
        self.ledger = Ledger(Trace(lambda: 0.0))
        self.letter = self.ledger.write(
            Letter(1, sender, ("fred@d0.example",), BODY, requiretls=requiretls)
        )

    def accepted(self, id: str = ID) -> "Book":
        self.ledger.acceptances.append(Acceptance(self.letter, self.letter.recipients, id, 1.0))
        return self

    def doubted(self) -> "Book":
        self.ledger.doubts.append(Doubt(self.letter, self.letter.recipients, 1.0))
        return self

    def came(
        self,
        at: float = 2.0,
        *,
        id: str = ID,
        to: str = "fred@d0.example",
        body: bytes = BODY,
        sure: bool = True,
    ) -> "Book":
        octets = TRACE % id.encode() + body
        self.ledger.copies.append(Copy(PEER, self.letter.sender, (to,), octets, at, confirmed=sure))
        return self

    def killed(self, at: float) -> "Book":
        self.ledger.interruptions.append(at)
        return self

    def told(self, to: str, *, id: str = OTHER, about: str = ID) -> "Book":
        status = f"Final-Recipient: rfc822; fred@d0.example\r\nAction: failed\r\nFinal-Log-ID: {about}\r\n"
        head = (
            f"Message-ID: <{id}@mx.example.org>\r\nContent-Type: multipart/report;\r\n"
            f'\tboundary="=_x"\r\n\r\n'
        )
        parts = (
            f"--=_x\r\n\r\nsorry\r\n--=_x\r\n\r\n{status}\r\n--=_x\r\n\r\nFrom: x\r\n--=_x--\r\n"
        )
        octets = TRACE % id.encode() + (head + parts).encode()
        self.ledger.copies.append(Copy(PEER, "", (to,), octets, 3.0, confirmed=True))
        return self

    def breaks(self, rule: Callable[[Findings], Iterator[str]]) -> list[str]:
        return list(rule(Findings(PLAN, self.ledger, [], [], empty=True)))


def test_what_was_accepted_and_never_came_is_lost() -> None:
    assert Book().accepted().breaks(kept) == [
        f"lost: letter 1, accepted as {ID} for fred@d0.example"
    ]


@pytest.mark.parametrize(
    "book", [Book().accepted().came(), Book().accepted().told("ann@d1.example"), Book().doubted()]
)
def test_what_came_or_was_told_of_or_is_in_doubt_is_not_lost(book: Book) -> None:
    assert book.breaks(kept) == []


def test_a_second_copy_needs_a_reason() -> None:
    assert Book().accepted().came(2).came(5).breaks(once)[0].startswith("twice:")


@pytest.mark.parametrize(
    "book",
    [
        Book().accepted().came(2, sure=False).came(5),
        Book().accepted().came(2).killed(3).came(5),
    ],
    ids=["the reply was lost", "the server was killed"],
)
def test_a_second_copy_with_a_reason_is_allowed(book: Book) -> None:
    assert book.breaks(once) == []


def test_a_letter_taken_once_may_not_come_under_two_ids() -> None:
    assert Book().accepted().came().came(id=OTHER).breaks(once)[0].startswith("too many:")


def test_a_letter_in_doubt_may_come_once_more() -> None:
    assert Book().accepted().doubted().came().came(id=OTHER).breaks(once) == []


def test_a_failure_is_reported_once() -> None:
    book = Book().accepted().told("ann@d1.example").told("ann@d1.example", id="DD4X40176WV0CV")

    assert book.breaks(once)[0].startswith("reported twice:")


def test_a_changed_body_is_noticed() -> None:
    assert Book().accepted().came(body=BODY + b"bye\r\n").breaks(honest)[0].startswith("altered:")


def test_mail_for_somebody_else_is_noticed() -> None:
    assert Book().accepted().came(to="eve@d0.example").breaks(honest)[0].startswith("astray:")


def test_mail_that_nobody_wrote_is_noticed() -> None:
    book = Book().accepted().came(body=b"Subject: hello\r\n\r\n")

    assert book.breaks(honest)[0].startswith("out of thin air:")


def test_a_report_goes_to_the_sender() -> None:
    assert Book().accepted().told("ann@d1.example").breaks(silent) == []
    assert "came to" in Book().accepted().told("eve@d0.example").breaks(silent)[0]


def test_of_a_null_sender_only_the_postmaster_hears() -> None:
    assert Book(sender="").accepted().told(PLAN.config.postmaster).breaks(silent) == []
    assert "came to" in Book(sender="").accepted().told("ann@d1.example").breaks(silent)[0]


def test_what_asked_for_tls_is_not_shown_in_clear() -> None:
    assert Book(requiretls=True).accepted().came().breaks(guarded)[0].startswith("in clear:")
