"""python -m tests.bench: what scripts/bench runs."""

import sys

from tests.bench.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
