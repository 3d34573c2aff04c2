"""Speaking to a Unix socket octet by octet, as a hostile program would."""

import asyncio
import contextlib
from pathlib import Path


async def speak(path: Path, octets: bytes, *, hang_up: bool = False) -> bytes:
    """Send octets, and give everything that comes back until the other side closes or resets."""
    reader, writer = await asyncio.open_unix_connection(path)
    said = b""
    with contextlib.suppress(ConnectionError):
        writer.write(octets)
        if hang_up:
            writer.write_eof()
        while piece := await reader.read(65536):
            said += piece
    writer.transport.abort()
    return said
