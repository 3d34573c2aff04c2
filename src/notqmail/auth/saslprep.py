"""SASLprep (RFC 4013): names and passwords in the form in which they are hashed and compared.

White space that is not ASCII becomes a space, what is invisible goes, the rest is NFKC; control characters, private
use, surrogates and mixed writing directions are prohibited. Code points that Unicode 3.2 did not know pass (RFC 3454
§7: a query may have them), so that a password may be an emoji.
"""

import stringprep
import unicodedata

MAX_PREPARED = 1024  # octets, so that nobody makes us prepare and hash a novel


def prepare(text: str, what: str = "the password") -> str:
    """Prepare a text (RFC 4013 §2); raise ValueError for what it prohibits, with a sentence about `what`."""
    if len(text) > MAX_PREPARED:  # before any work that grows with the length
        raise ValueError(f"{what} is longer than {MAX_PREPARED} octets")
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    if not prepared:
        raise ValueError(f"{what} is empty")
    if len(prepared.encode("utf-8", "surrogatepass")) > MAX_PREPARED:
        raise ValueError(f"{what} is longer than {MAX_PREPARED} octets")
    if any(prohibited(c) for prohibited in _PROHIBITED for c in prepared):
        raise ValueError(f"{what} has a character that cannot be typed everywhere")
    _check_direction(prepared, what)
    return prepared


def _check_direction(text: str, what: str) -> None:
    """RFC 3454 §6: right-to-left text begins and ends with such a character and has no left-to-right one."""
    if any(map(stringprep.in_table_d1, text)):
        ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
        if not ends or any(map(stringprep.in_table_d2, text)):
            raise ValueError(f"{what} mixes writing directions")


_PROHIBITED = (  # RFC 4013 §2.3
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
