"""A delivered message of smtp-source: which one it is, and whether it is whole."""

import re

_QUEUE_ID = re.compile(rb"\(notqmail\)\s+with\s+\w+\s+id\s+(\w+)")  # of the topmost Received field
_FIRST = b"\nFrom: "  # where what smtp-source sent begins; before it are the fields of our server
_HEAD = 2048  # octets in which both stand


def recognised(content: bytes) -> tuple[str, int]:
    """Give the queue id and the octets that the client sent, with CRLF; ("?", 0) when it cannot be told."""
    id, first = _QUEUE_ID.search(content, 0, _HEAD), content.find(_FIRST, 0, _HEAD)
    if id is None or first < 0:
        return "?", 0
    bare = content.count(b"\n", first + 1) - content.count(b"\r\n", first + 1)
    return id[1].decode(), len(content) - first - 1 + bare
