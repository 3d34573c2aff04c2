"""Memory does not grow with the size of messages: 64 sessions with 50 MB each."""

import threading

from tests.support.server import Server, serving
from tests.support.smtp_client import SmtpClient

SESSIONS = 64
BLOCK = (b"x" * 78 + b"\r\n") * 819  # 64 KiB of lines
BLOCKS = 50_000_000 // len(BLOCK)
PER_SESSION = 1 << 20


def test_sessions_with_large_messages_take_a_megabyte_each_at_most() -> None:
    with serving(settings={"queue.free_space": "1MB"}) as server:
        _upload(server, 1)  # what is needed once, whatever the size: buffers, threads, code
        before = server.peak_memory()

        uploads = [threading.Thread(target=_upload, args=(server, BLOCKS)) for _ in range(SESSIONS)]
        for upload in uploads:
            upload.start()
        for upload in uploads:
            upload.join()

        assert server.peak_memory() - before < SESSIONS * PER_SESSION
        assert server.queue_is_empty()


def _upload(server: Server, blocks: int) -> None:
    """Send so many blocks of a message and forget about it before its end, so that nothing is left on the disk."""
    with SmtpClient("127.0.0.1", server.port, timeout=120) as client:
        client.reply()
        client.ask("EHLO client.example")
        client.envelope("bob@sender.example", "alice@example.org")
        client.ask("DATA")
        for _ in range(blocks):
            client.send(BLOCK)
        client.send(b"\r\n\r\n.")
        client.half_close()
        assert client.reply() == "EOF"
