"""Names of messages. A queue id sorts by time, so a listing is chronological and an index grows at its end."""

from notqmail.ports import Random

_SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: ascending, no I L O U
_PAIRS = tuple(a + b for a in _SIGNS for b in _SIGNS)
_TICKS = 1 << 18  # per second; 50 bits of them last until 2106


def new_id(now: float, random: Random) -> str:
    """Make a queue id: 14 characters of 0-9A-Z, ten of time (wall-clock seconds `now`) and four of chance."""
    bits = ((int(now * _TICKS) & 0x3FFFFFFFFFFFF) << 20) | random.getrandbits(20)
    pairs = _PAIRS
    return (
        pairs[bits >> 60]
        + pairs[bits >> 50 & 1023]
        + pairs[bits >> 40 & 1023]
        + pairs[bits >> 30 & 1023]
        + pairs[bits >> 20 & 1023]
        + pairs[bits >> 10 & 1023]
        + pairs[bits & 1023]
    )
