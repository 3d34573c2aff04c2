"""The servers that are measured, in the order of the report; each module is loaded when it is needed."""

import importlib

from tests.bench.peer import Peer

SERVERS = ("notqmail", "postfix", "exim", "opensmtpd", "chasquid", "haraka")
OURS, REFERENCE = "notqmail", "postfix"  # whose rates are divided


def server(name: str) -> Peer:
    """The server of that name, one of SERVERS."""
    peer: Peer = importlib.import_module(f"{__name__}.{name}").PEER
    return peer
