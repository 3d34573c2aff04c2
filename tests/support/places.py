"""Directories for real servers. pytest's own are closed to everybody but who runs it, and a server that was started as
root becomes somebody else."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_directory(below: Path | None = None) -> Iterator[Path]:
    """Make a directory that everybody may enter; it is removed at the end of the block."""
    path = Path(tempfile.mkdtemp(prefix="notqmail-test-", dir=below))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)
