"""What a disk gives to a program that does nothing but what a mail server must: every octet of a message is written
and synced twice, once on acceptance and once on delivery. `python -m tests.bench.twice DIRECTORY` measures it."""

import os
import sys
import time
from pathlib import Path

_PIECE = 1 << 16  # octets per write, as they come from a socket


def write_twice(directory: Path, octets: int, messages: int) -> float:
    """Write so many messages one after the other, as queue and as mailbox would; octets of messages per second."""
    content = memoryview(os.urandom(_PIECE) * (octets // _PIECE + 1))[:octets]
    began = time.perf_counter()
    for number in range(messages):
        for name in (f"queue-{number}", f"mail-{number}"):
            _write(directory / name, content)
        (directory / f"queue-{number}").unlink()
    rate = octets * messages / (time.perf_counter() - began)
    for number in range(messages):
        (directory / f"mail-{number}").unlink()
    return rate


def _write(path: Path, content: memoryview) -> None:
    with path.open("wb", buffering=0) as file:
        for start in range(0, len(content), _PIECE):
            file.write(content[start : start + _PIECE])
        os.fsync(file.fileno())


if __name__ == "__main__":
    print(f"{write_twice(Path(sys.argv[1]), 10_000_000, 20) / 1e6:.0f} MB/s")
