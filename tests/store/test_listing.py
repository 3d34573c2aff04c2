"""Pages of an edit, and what is gone before its turn comes."""

import sqlite3

from notqmail.store import listing, migrate, ops
from notqmail.store.rows import pack
from tests.support.stored import routed


def test_pages_never_part_an_entry() -> None:
    small = [(f"0{n:04}", "smtp:x", 0) for n in range(listing.PAGE - 1)]
    large = [("1", "smtp:x", n) for n in range(listing.PAGE)]
    last = [("2", "smtp:x", 0)]

    pages = list(listing.pages([*small, *large, *last]))

    assert pages == [[*small, *large], last]
    assert list(listing.pages([])) == []


def test_what_is_gone_since_it_was_listed_is_not_in_the_result() -> None:
    database = sqlite3.connect(":memory:", isolation_level=None)
    migrate.upgrade(database, migrate.steps())
    ops.insert(database, pack(routed("0A", "a@example.net", "b@example.net"), b""))
    ops.release(database, [("0A", "smtp:example.net", 1)], None)
    page = [("0A", "smtp:example.net", 1), ("0A", "smtp:example.net", 7), ("0B", "smtp:x", 0)]

    edited = listing.edit(database, page, "delete", 0.0)

    assert [row.recipient for row in edited.rows] == ["b@example.net"]
    database.close()
