"""A checkpassword program as Bernstein's: reads descriptor 3, exits 1, 2 or 111, or becomes the program that follows.

    checkpassword.py ACCOUNTS PROGRAM [ARGUMENT…]

ACCOUNTS is a file of lines NAME:PASSWORD. It is run alone, so it imports nothing of the tests.
"""

import os
import sys
from pathlib import Path


def main() -> None:
    try:
        with open(3, "rb") as secrets:
            given = secrets.read(513)
    except OSError:
        sys.exit(2)
    if len(given) > 512 or given.count(b"\0") < 3:
        sys.exit(2)
    name, password, *_ = given.split(b"\0")
    try:
        accounts = Path(sys.argv[1]).read_bytes().splitlines()
    except OSError:
        sys.exit(111)
    if name + b":" + password not in accounts:
        sys.exit(1)
    os.environ["USER"] = name.decode()
    try:
        os.execvp(sys.argv[2], sys.argv[2:])
    except OSError:
        sys.exit(111)


if __name__ == "__main__":
    main()
