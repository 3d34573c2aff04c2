"""What another user may read, asked of the kernel: modes, groups and access lists of the whole path count."""

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from notqmail.system.privileges import Identity

_SCRIPT = 'for path; do [ -r "$path" ] || printf "%s\\0" "$path"; done'


def unreadable(paths: Iterable[Path], who: Identity) -> Sequence[Path]:
    """Give the paths that a user may not read. Needs root."""
    command = ["/bin/sh", "-c", _SCRIPT, "sh", *map(str, paths)]
    ended = subprocess.run(  # noqa: S603 - our own words; the paths are arguments
        command,
        user=who.uid,
        group=who.gid,
        extra_groups=who.groups,
        cwd="/",
        env={},
        stdout=subprocess.PIPE,
        check=True,
    )
    return [
        Path(name) for name in ended.stdout.decode("utf-8", "surrogateescape").split("\0") if name
    ]
