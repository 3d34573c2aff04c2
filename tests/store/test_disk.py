"""The disk that forgets, on which the crash tests stand."""

from tests.support.disk import (
    ROOT,
    SECTOR,
    Change,
    Disk,
    Event,
    Name,
    Sync,
    Truncate,
    Write,
    fates,
    without,
)

FILE, FOLDER = 1, 2


def after(*events: Event) -> Disk:
    disk = Disk()
    for event in events:
        disk.apply(event)
    return disk


def test_what_is_synced_is_there() -> None:
    disk = after(
        Name(ROOT, "a", FILE), Write(FILE, 0, b"one"), Sync(FILE, "file"), Sync(ROOT, "names")
    )

    assert disk.pending == []
    assert disk.after_crash([]) == {"a": b"one"}


def test_a_synced_file_without_a_synced_name_may_be_nowhere() -> None:
    disk = after(Name(ROOT, "a", FILE), Write(FILE, 0, b"one"), Sync(FILE, "file"))

    assert disk.after_crash([]) == {}
    assert disk.after_crash(disk.pending) == {"a": b"one"}


def test_a_synced_name_may_lead_to_an_empty_file() -> None:
    disk = after(Name(ROOT, "a", FILE), Sync(ROOT, "names"), Write(FILE, 0, b"one"))

    assert disk.after_crash([]) == {"a": b""}


def test_a_write_may_arrive_before_an_earlier_one() -> None:
    disk = after(Name(ROOT, "a", FILE), Sync(ROOT, "names"))
    disk.apply(Write(FILE, 0, b"one"))
    disk.apply(Write(FILE, 3, b"two"))

    assert disk.after_crash(disk.pending[1:]) == {"a": b"\0\0\0two"}


def test_a_rename_may_lose_either_name_or_both() -> None:
    disk = after(Name(ROOT, "a", FILE), Write(FILE, 0, b"x"), Sync(FILE, ""), Sync(ROOT, ""))
    new, gone = Name(ROOT, "b", FILE), Name(ROOT, "a", None)
    disk.apply(new)
    disk.apply(gone)

    assert disk.after_crash([]) == {"a": b"x"}
    assert disk.after_crash([new]) == {"a": b"x", "b": b"x"}
    assert disk.after_crash([gone]) == {}


def test_what_is_in_a_lost_directory_is_lost() -> None:
    disk = after(
        Name(ROOT, "d", FOLDER, is_directory=True),
        Name(FOLDER, "a", FILE),
        Write(FILE, 0, b"x"),
        Sync(FILE, ""),
        Sync(FOLDER, ""),
    )

    assert disk.after_crash([]) == {}
    assert disk.after_crash(disk.pending) == {"d": None, "d/a": b"x"}


def test_a_truncation_is_lost_like_a_write() -> None:
    disk = after(Name(ROOT, "a", FILE), Sync(ROOT, ""), Write(FILE, 0, b"12345"), Sync(FILE, ""))
    disk.apply(Truncate(FILE, 2))

    assert disk.after_crash([]) == {"a": b"12345"}
    assert disk.after_crash(disk.pending) == {"a": b"12"}


def test_fates_name_every_change_alone_and_left_out() -> None:
    changes: list[Change] = [Name(ROOT, "a", FILE), Write(FILE, 0, b"1"), Write(FILE, 1, b"2")]

    found = list(fates(changes, seed=1, draws=0, each=True))

    for change in changes:
        assert [change] in found
        assert [other for other in changes if other != change] in found
    assert [] in found
    assert changes in found
    assert list(fates([], seed=1, draws=9, each=True)) == [[]]


def test_drawn_fates_tear_writes_at_sectors_and_are_the_same_each_time() -> None:
    data = bytes(range(256)) * 8
    changes: list[Change] = [Write(FILE, 100, data)]

    drawn = list(fates(changes, seed=7, draws=40, each=False))[4:]

    assert drawn == list(fates(changes, seed=7, draws=40, each=False))[4:]
    pieces = [piece for fate in drawn for piece in fate if isinstance(piece, Write)]
    assert any(len(piece.data) < len(data) for piece in pieces)
    for piece in pieces:
        assert piece.offset == 100 or piece.offset % SECTOR == 0
        assert data[piece.offset - 100 :].startswith(piece.data)


def test_a_sync_is_left_out_by_its_role() -> None:
    events: list[Event] = [Write(FILE, 0, b"x"), Sync(FILE, "file"), Sync(ROOT, "names")]

    assert without(events, "file") == [events[0], events[2]]
