"""The real libpam on a service file of ours: a copy of the library that looks in another directory than /etc/pam.d.

As pam_wrapper does it; an environment variable for that libpam does not have.
"""

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

_DIRECTORY = b"/etc/pam.d"


@contextmanager
def private_pam(services: Mapping[str, str]) -> Iterator[Path]:
    """Give a directory for LD_LIBRARY_PATH with a libpam that knows these services. Skips where there is no libpam."""
    places = ("usr/lib/*-linux-gnu", "lib/*-linux-gnu", "usr/lib*", "lib*")
    found = [path for place in places for path in Path("/").glob(f"{place}/libpam.so.0")]
    if not found:
        pytest.skip("libpam is not installed")
    directory = Path("/tmp") / secrets.token_hex(3)[: len(_DIRECTORY) - len("/tmp/")]  # as long
    directory.mkdir(mode=0o755)
    try:
        library = found[0].read_bytes()
        assert _DIRECTORY in library
        changed = library.replace(_DIRECTORY, str(directory).encode())
        (directory / "libpam.so.0").write_bytes(changed)
        for service, text in services.items():
            (directory / service).write_text(text)
        yield directory
    finally:
        shutil.rmtree(directory)
