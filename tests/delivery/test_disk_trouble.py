import errno

import pytest

from notqmail.delivery.disk_trouble import disk_trouble


@pytest.mark.parametrize(
    ("number", "code", "enhanced"),
    [
        (errno.EDQUOT, 452, "4.2.2"),
        (errno.ENOSPC, 452, "4.3.1"),
        (errno.EACCES, 451, "4.3.0"),
        (errno.EROFS, 451, "4.3.0"),
        (errno.ESTALE, 451, "4.3.0"),
        (None, 451, "4.3.0"),
    ],
)
def test_disk_error_is_a_transient_reply_with_a_remedy(
    number: int | None, code: int, enhanced: str
) -> None:
    found = disk_trouble(OSError(number, "x"))

    assert (found.reply.code, found.reply.enhanced) == (code, enhanced)
    assert found.remedy


def test_reply_does_not_tell_the_sender_our_paths() -> None:
    found = disk_trouble(PermissionError(errno.EACCES, "Permission denied", "/secret/path"))

    assert "secret" not in str(found.reply)
