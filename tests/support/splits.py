"""A stream of octets cut anywhere, for hypothesis: what reads a stream must not care where it is cut."""

from collections.abc import Iterable, Iterator

from hypothesis import strategies as st


def pieces(stream: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """Cut `stream` at each offset of `cuts` that lies in it; empty pieces are left in."""
    at = 0
    for cut in sorted(min(cut, len(stream)) for cut in cuts):
        yield stream[at:cut]
        at = cut
    yield stream[at:]


def cuts(longest: int = 200) -> st.SearchStrategy[list[int]]:
    """Offsets to cut at."""
    return st.lists(st.integers(min_value=0, max_value=longest), max_size=12)


def octets(alphabet: bytes, longest: int = 60) -> st.SearchStrategy[bytes]:
    """Streams made of a few octets, so that what matters is frequent."""
    return st.lists(st.sampled_from(alphabet), max_size=longest).map(bytes)
