"""TLS for who connects to us: which certificate is shown to whom, session tickets, and renewal without a restart.

    front context ──SNI──► face of the name: its certificates, an ECDSA and an RSA one side by side
     ticket keys

A connection begins with a front context, which has no certificate; the callback for the server name puts a `Face` on it.
Faces are replaced when files change, all at once by one assignment: handshakes from then on show the new certificate,
sessions at work keep the face they have. The front stays, and with it the keys of session tickets (OpenSSL takes them
from the context a connection began with). There are two, with keys of their own: the kinds that log in may ask
for a client certificate, `mx` never does, and no ticket of one is good for the other.

An idle connection costs OpenSSL's state, about 18 KB; its buffers are given back whenever they are empty
(SSL_MODE_RELEASE_BUFFERS, which Python sets), and both BIOs are empty between records.
"""

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from notqmail.auth.binding import end_point
from notqmail.config import SUBMISSION, Config
from notqmail.mail.errors import ConfigError
from notqmail.mail.idn import canonical_domain
from notqmail.policy import transaction
from notqmail.ports import Clock
from notqmail.system import certificates
from notqmail.system.certificate_files import Trouble, read_all, read_client_ca, take_up
from notqmail.system.certificates import Pair
from notqmail.system.clock import SystemClock

_log = logging.getLogger(__name__)

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and AEAD alone, as TLS 1.3 has them (RFC 9325 §4.2)."""

TICKET_KEYS: Final = 86400.0
"""Seconds after which ticket keys are made anew: who stole the old ones could read what was resumed with them (RFC 9325
§3.5 wants them changed at least once a week)."""

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Face(ssl.SSLContext):
    """What is shown for a name. `bindings` are the channel bindings of its certificates."""

    bindings: tuple[bytes, ...] = ()


class Connection(ssl.SSLObject):
    """One connection. `server_name` is the name the client asked for, cleaned, "" for none."""

    server_name: str = ""


C = TypeVar("C", bound=ssl.SSLContext)
Show = Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]


@dataclass(frozen=True, slots=True)
class _Setup:
    """What every context has alike. `client_ca` is DER; `b""` asks nobody for a certificate."""

    minimum: str
    client_ca: bytes = b""

    def context(self, kind: type[C]) -> C:
        """Make a context. A connection takes some of this from the front and some from the face, so both have all."""
        context = kind(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self.minimum]
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_ciphers(CIPHERS)
        context.num_tickets = 1  # a client may use it for as many connections as it likes
        if self.client_ca:
            context.load_verify_locations(cadata=self.client_ca)
        return context

    def face(self, pairs: Sequence[Pair]) -> Face:
        face = self.context(Face)
        for pair in pairs:
            take_up(face, pair)
        bindings = (end_point(pair.leaf) for pair in pairs)
        face.bindings = tuple(each for each in bindings if each is not None)
        return face

    def front(self, show: Show, asks: ssl.VerifyMode) -> ssl.SSLContext:
        front = self.context(ssl.SSLContext)
        front.sslobject_class = Connection
        front.sni_callback = show
        front.verify_mode = asks
        return front


@dataclass(frozen=True, slots=True)
class _Keys:
    """The fronts, made at `since`. `former` are the bindings of certificates that are no longer shown, but were to who
    resumes with a ticket made with these keys."""

    plain: ssl.SSLContext
    asking: ssl.SSLContext
    since: float
    former: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class _State:
    """What is in force. `faces` are by what they show, `by_name` and `default` say which is whose."""

    settings: Config
    setup: _Setup
    pairs: tuple[Pair, ...]
    faces: Mapping[tuple[Pair, ...], Face]
    by_name: Mapping[str, Face]
    default: Face
    keys: _Keys


class ServerTls:
    """Make it while the process may read the keys, before privileges are dropped: it holds them in memory from then
    on. Raises ConfigError when a certificate that is named cannot be used, or there is none at all."""

    def __init__(self, settings: Config, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._told: frozenset[str] = frozenset()
        self._state = self._read(settings, None)

    def wrap(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, kind: str = "mx"
    ) -> Connection:
        """Give the server's side of a new connection on a listener of this kind."""
        keys = self._state.keys
        front = keys.asking if kind in SUBMISSION else keys.plain
        connection = front.wrap_bio(incoming, outgoing, server_side=True)
        assert isinstance(connection, Connection)
        return connection

    @staticmethod
    def describe(connection: Connection) -> transaction.Tls:
        """Say what a handshake came to."""
        cipher = connection.cipher()
        # OpenSSL has verified it, or there would be no connection
        client = connection.getpeercert(binary_form=True)
        return transaction.Tls(
            version=connection.version() or "",
            cipher=cipher[0] if cipher else "",
            server_name=connection.server_name,
            client_names=certificates.client_names(client) if client else (),
        )

    def bindings(self, connection: Connection) -> tuple[bytes, ...]:
        """Give the tls-server-end-point bindings (RFC 5929 §4.1) a client of this connection may use, () for none.

        Which of an ECDSA and an RSA certificate was shown, OpenSSL does not tell; who resumes by a ticket was shown
        one earlier. Any of them may be accepted: the binding is there to find out a man in the middle, who must show
        a certificate of his own, since the keys of all of these are ours alone.
        """
        face = connection.context
        shown = face.bindings if isinstance(face, Face) else ()
        if not connection.session_reused:
            return shown
        return tuple(dict.fromkeys((*shown, *sorted(self._state.keys.former))))

    def reload(self) -> bool:
        """Look at the files again; say whether anything else is shown from now on. Blocks: call it in a thread.

        What cannot be used stays as it was, is told once, and is tried again the next time. Never raises for a file.
        """
        try:
            return self._take(None)
        except ConfigError as error:
            self._tell([error])
            return False

    def adopt(self, settings: Config) -> bool:
        """Do as `reload` with a new configuration. Raises ConfigError, and everything stays as it was."""
        return self._take(settings)

    async def watch(self) -> None:
        """Look at the files every `tls.reload_interval`, for good, off the loop. Its task is the caller's."""
        while True:
            await asyncio.sleep(self._state.settings.tls.reload_interval)
            await asyncio.to_thread(self.reload)

    def _take(self, settings: Config | None) -> bool:
        with self._lock:
            before = self._state
            self._state = self._read(settings or before.settings, before)
            return self._state.faces.keys() != before.faces.keys()

    def _read(self, settings: Config, before: _State | None) -> _State:
        """Make what is to be in force; raise ConfigError. It tells what cannot be used."""
        try:
            return self._make(settings, before)
        except OSError as error:  # no descriptor is free, no memory; ssl.SSLError is one too
            where, problem = f"{settings.path}: tls.certificate", error.strerror or str(error)
            raise ConfigError(where, f"cannot be taken up: {problem}", "try again") from None

    def _make(self, settings: Config, before: _State | None) -> _State:
        reading = read_all(settings, before.pairs if before else ())
        setup, troubles = _setup(settings, before)
        troubles = (*reading.troubles, *troubles)
        for trouble in troubles:
            if trouble.fatal:
                raise trouble.error
        if not reading.pairs:
            nothing = ConfigError(f"{settings.path}: tls.certificate", "no certificate is named")
            raise troubles[0].error if troubles else nothing
        self._tell([trouble.error for trouble in troubles])
        made = before.faces if before and before.setup == setup else {}
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        shown = certificates.choose(reading.pairs, now)
        by_default = certificates.default(shown, reading.pairs, _default_names(settings))
        wanted = dict.fromkeys((*shown.values(), by_default))
        faces = {pairs: made.get(pairs) or setup.face(pairs) for pairs in wanted}
        _tell_new(faces, before.faces if before else ())
        return _State(
            settings,
            setup,
            reading.pairs,
            faces,
            {name: faces[each] for name, each in shown.items()},
            faces[by_default],
            self._keys(setup, faces, before),
        )

    def _keys(
        self, setup: _Setup, faces: Mapping[tuple[Pair, ...], Face], before: _State | None
    ) -> _Keys:
        """Give the keys that there are, until they are too old or the rules for a connection are others."""
        now = self._clock.monotonic()
        if before is None or before.setup != setup or now - before.keys.since >= TICKET_KEYS:
            asks = ssl.CERT_OPTIONAL if setup.client_ca else ssl.CERT_NONE
            plain = setup.front(self._show, ssl.CERT_NONE)
            return _Keys(plain, setup.front(self._show, asks), now)
        gone = (face for pairs, face in before.faces.items() if pairs not in faces)
        former = before.keys.former.union(*(face.bindings for face in gone))
        return replace(before.keys, former=former)

    def _show(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        """Put the face of the asked name on a connection (RFC 6066 §3). It must not raise: OpenSSL calls it."""
        state = self._state
        asked = certificates.dns_name(name or "")
        face = certificates.covering(state.by_name, asked)
        connection.context = state.default if face is None else face
        assert isinstance(connection, Connection)
        connection.server_name = asked

    def _tell(self, troubles: Sequence[ConfigError]) -> None:
        for each in troubles:
            if str(each) not in self._told:
                _log.warning(
                    "certificate cannot be used, one from before stays where=%r error=%r remedy=%r",
                    each.where,
                    each.problem,
                    each.remedy,
                )
        self._told = frozenset(map(str, troubles))


def _default_names(settings: Config) -> Sequence[str]:
    names = (settings.tls.default, settings.hostname)
    return [canonical_domain(name) for name in names if name]


def _setup(settings: Config, before: _State | None) -> tuple[_Setup, Sequence[Trouble]]:
    """Read what holds for all contexts. A client CA that cannot be read stays as it was."""
    path, minimum = settings.tls.client_ca, settings.tls.minimum
    if not path:
        return _Setup(minimum), ()
    try:
        return _Setup(minimum, read_client_ca(settings)), ()
    except ConfigError as error:
        kept = before is not None and before.settings.tls.client_ca == path
        setup = _Setup(minimum, before.setup.client_ca if before and kept else b"")
        return setup, [Trouble(error, not kept, Path(path))]


def _tell_new(faces: Iterable[tuple[Pair, ...]], before: Iterable[tuple[Pair, ...]]) -> None:
    known = {pair for pairs in before for pair in pairs}
    for pair in dict.fromkeys(pair for pairs in faces for pair in pairs if pair not in known):
        _log.info(
            "certificate in use file=%s type=%s until=%s names=%s",
            pair.chain,
            pair.key_type,
            pair.leaf.not_valid_after_utc.date().isoformat(),
            ",".join(pair.names),
        )
