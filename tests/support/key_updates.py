"""A TLS 1.3 client that does what Python's cannot: it asks for one new key after another (RFC 8446 §4.6.3)."""

import ctypes
import ctypes.util
from collections.abc import Callable

_REQUESTED = 1  # SSL_KEY_UPDATE_REQUESTED: the peer is to answer with one of its own
_ROOM = 1 << 22

_crypto = ctypes.CDLL(ctypes.util.find_library("crypto"), mode=ctypes.RTLD_GLOBAL)
_ssl = ctypes.CDLL(ctypes.util.find_library("ssl"))
_POINTER = ctypes.c_void_p
for _library, _names in (
    (_ssl, ("TLS_client_method", "SSL_CTX_new", "SSL_new")),
    (_crypto, ("BIO_new", "BIO_s_mem")),
):
    for _name in _names:
        getattr(_library, _name).restype = _POINTER


class KeyUpdater:
    """OpenSSL's client over memory. `exchange` brings octets to the server and gives what it sends back."""

    def __init__(self, exchange: Callable[[bytes], bytes]) -> None:
        self._exchange = exchange
        context = _POINTER(_ssl.SSL_CTX_new(_POINTER(_ssl.TLS_client_method())))
        self._client = _POINTER(_ssl.SSL_new(context))
        memory = _POINTER(_crypto.BIO_s_mem())
        self._incoming, self._outgoing = (_POINTER(_crypto.BIO_new(memory)) for _ in range(2))
        _ssl.SSL_set_bio(self._client, self._incoming, self._outgoing)
        _ssl.SSL_set_connect_state(self._client)
        self._room = ctypes.create_string_buffer(_ROOM)
        for _ in range(4):
            _ssl.SSL_do_handshake(self._client)
            self._bring(self.take())
        _ssl.SSL_read(self._client, self._room, 10)

    def updates(self, count: int) -> bytes:
        """Give so many requests for new keys, each with one of its own."""
        for _ in range(count):
            _ssl.SSL_key_update(self._client, _REQUESTED)
            _ssl.SSL_do_handshake(self._client)
        return self.take()

    def said(self, octets: bytes) -> bytes:
        """Give octets as a record."""
        _ssl.SSL_write(self._client, octets, len(octets))
        return self.take()

    def take(self) -> bytes:
        """Give what is to be sent."""
        size = _crypto.BIO_read(self._outgoing, self._room, _ROOM)
        return self._room.raw[:size] if size > 0 else b""

    def _bring(self, octets: bytes) -> None:
        answer = self._exchange(octets) if octets else b""
        if answer:
            _crypto.BIO_write(self._incoming, answer, len(answer))
