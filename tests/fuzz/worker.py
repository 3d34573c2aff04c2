"""One target under libFuzzer: `python -m tests.fuzz.worker TARGET [LIBFUZZER OPTION | DIRECTORY | FILE]…`.

Runs in the interpreter of scripts/fuzz, the only one that has atheris; what the project imports is instrumented.
"""

import sys

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]


def main() -> None:
    """Fuzz until libFuzzer ends the process."""
    name = sys.argv.pop(1)
    # a merge starts itself again, by a shell, from what stands first
    sys.argv[0] = f"{sys.executable} -m tests.fuzz.worker {name}"
    with atheris.instrument_imports(include=["notqmail"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup(sys.argv, TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
