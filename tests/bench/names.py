"""Names while measuring: a private mount namespace whose /etc/resolv.conf and /etc/hosts lead to an answerer of ours.

Servers ask DNS about clients, hosts and domains, each in its own way and some cannot be told not to. An answer that
takes a second is then measured in place of the server. Here every question is answered at once: with what is in
`ZONES`, and that nothing else exists.

The namespace belongs to this process and all it starts. Nothing of it is seen outside, and what is mounted in it, the
disk that is measured too, goes with the last process, however that ends.
"""

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.support.dns import Zones
from tests.support.dns_thread import dns_serving

ZONES = Zones({})  # a workload may add to it

# sched.h, sys/mount.h; os.unshare comes with Python 3.12, a mount call not at all
_NEW_NAMESPACE, _BIND, _PRIVATE, _RECURSIVE = 0x20000, 1 << 12, 1 << 18, 1 << 14
_libc = ctypes.CDLL(None, use_errno=True)


def enter_namespace() -> None:
    """Go on in a mount namespace of our own, for good. Call it before there are threads. Raises OSError."""
    _checked("unshare", _libc.unshare(_NEW_NAMESPACE))
    _mount(Path("none"), Path("/"), _PRIVATE | _RECURSIVE)


@contextmanager
def answering(directory: Path) -> Iterator[str]:
    """Answer all questions of this namespace until the block ends; give the answerer's address. The files are
    written into `directory`. Raises OSError."""
    with ExitStack() as stack:
        host = _free_host()
        stack.enter_context(dns_serving(ZONES, host=host, port=53))
        contents = {
            "resolv.conf": f"nameserver {host}\noptions timeout:1 attempts:1\n",
            "hosts": f"127.0.0.1 localhost {socket.gethostname()}\n",
        }
        for name, text in contents.items():
            ours, theirs = directory / name, Path("/etc") / name
            ours.write_text(text)
            _mount(ours, theirs.resolve(), _BIND)
            stack.callback(_unmount, theirs.resolve())
        yield host


def _free_host() -> str:
    """A loopback address on which nobody answers DNS, not even by listening on all. Raises OSError."""
    trouble = OSError("unknown")
    for last in range(53, 253):
        host = f"127.0.53.{last}"
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind((host, 53))
        except OSError as error:
            trouble = error
        else:
            return host
    raise trouble


def _mount(what: Path, where: Path, flags: int) -> None:
    done = _libc.mount(os.fsencode(what), os.fsencode(where), None, ctypes.c_ulong(flags), None)
    _checked(f"mount {where}", done)


def _unmount(where: Path) -> None:
    with suppress(OSError):  # the namespace ends in any case
        _checked(f"umount {where}", _libc.umount(os.fsencode(where)))


def _checked(call: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
