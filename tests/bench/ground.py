"""What is needed before anything is measured: a system, its tools, the servers, and a disk and names of our own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from tests.bench import names
from tests.bench.disk import DIRECTORY, Disk, journaled
from tests.bench.peer import Unavailable
from tests.bench.servers import OURS, REFERENCE
from tests.support.programs import ROOT

_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
_TOOLS = {
    "mount": "mount",
    "umount": "mount",
    "mkfs.ext4": "e2fsprogs",
    "setpriv": "util-linux",
    "prlimit": "util-linux",
}
_SPARE = 500  # MB that must stay free


def check(megabytes: int) -> None:
    """Raise Unavailable with all that stands in the way of measuring on a disk of that size."""
    problems = list(_problems(megabytes))
    if problems:
        raise Unavailable("\nscripts/bench: ".join(problems))


def _problems(megabytes: int) -> Iterator[str]:
    if sys.platform != "linux":
        yield f"it measures by /proc and control groups, which {sys.platform} does not have; run it on Linux"
        return
    if os.geteuid() != 0:
        yield "Postfix can only be started by root; run it as root, for one in a virtual machine"
    for tool, package in _TOOLS.items():
        if shutil.which(tool, path=_PATH) is None:
            yield f"{tool} is not there; install it: apt-get install {package}"
    free = shutil.disk_usage(DIRECTORY).free >> 20
    if free < megabytes + _SPARE:
        yield (
            f"{DIRECTORY} has {free:,} MB free and {megabytes + _SPARE:,} MB are needed for the disk that is measured; "
            "remove something"
        )


def fetch(servers: Sequence[str], workloads: Sequence[str]) -> None:
    """Have these servers with what they need for the workloads, and Postfix for its smtp-source. Raises Unavailable."""
    wanted = dict.fromkeys((REFERENCE, *servers))
    wanted.pop(OURS, None)
    if "W7" in workloads:
        wanted["companions"] = None  # of Postfix
    command = [str(ROOT / "scripts" / "peers"), *wanted]
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
        raise Unavailable(
            "scripts/peers could not fetch all servers, as it says above; mend that, or leave some out with --servers"
        )


@contextmanager
def prepared(megabytes: int) -> Iterator[Disk]:
    """Give a disk to measure on, in a namespace where every name is answered at once."""
    with ExitStack() as stack:
        try:
            names.enter_namespace()
        except OSError as error:
            raise Unavailable(
                f"a mount namespace of its own is refused ({error}); run it as root, outside of a container or in a "
                "privileged one"
            ) from None
        disk = stack.enter_context(journaled(megabytes))
        try:
            stack.enter_context(names.answering(disk.path.parent))
        except OSError as error:
            raise Unavailable(
                f"no loopback address has a free port 53 ({error}); stop the DNS server that listens on all addresses"
            ) from None
        yield disk
