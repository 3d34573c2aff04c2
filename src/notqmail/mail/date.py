"""Dates of mail (RFC 5322 §3.3), always in UTC: where a server stands is nobody's business."""

from datetime import UTC, datetime
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def date_time(at: float) -> str:
    """Write wall-clock seconds as a date-time, in English whatever the locale. Cheap: one second is one value."""
    return _date_time(int(at))


@lru_cache(maxsize=8)
def _date_time(second: int) -> str:
    when = datetime.fromtimestamp(second, UTC)
    return (
        f"{_DAYS[when.weekday()]}, {when.day} {_MONTHS[when.month - 1]} {when.year:04d}"
        f" {when:%H:%M:%S} +0000"
    )
