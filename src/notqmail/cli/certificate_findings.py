"""What is wrong with the certificates of an installation."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from notqmail.cli.finding import Finding, Level
from notqmail.config import SUBMISSION, Config
from notqmail.mail.errors import ConfigError
from notqmail.mail.idn import canonical_domain
from notqmail.system.certificate_files import HOW_TO, read_all, read_client_ca
from notqmail.system.certificates import Pair, choose, covering, default, pairs_in, weakness
from notqmail.system.privileges import Identity
from notqmail.system.readable import unreadable

SOON = timedelta(days=14)
_RENEW = "renew it (certbot renew, acme.sh --renew), and see why that was not done by itself"


def examine_certificates(settings: Config, who: Identity | None, now: float) -> Iterator[Finding]:
    """Yield it. `who` is whom the server becomes when root starts it."""
    path = Path(settings.path)
    if settings.tls.client_ca:
        try:
            read_client_ca(settings)
        except ConfigError as error:
            yield Finding.of(error, path)
    reading = read_all(settings)
    for trouble in reading.troubles:
        fatal = trouble.fatal or not reading.pairs
        yield Finding.of(trouble.error, path, Level.ERROR if fatal else Level.WARNING)
    if not reading.pairs:
        return
    at = datetime.fromtimestamp(now, UTC)
    shown = choose(reading.pairs, at)
    names = [name for name in (settings.tls.default, settings.hostname) if name]
    used = {**shown, "": default(shown, reading.pairs, [canonical_domain(name) for name in names])}
    for pair in pairs_in(used):
        yield from _faults(pair, at)
    yield from _uncovered(settings, shown)
    if who is not None:
        yield from _closed(settings, list(pairs_in(used)), who)


def _faults(pair: Pair, now: datetime) -> Iterator[Finding]:
    begins, ends = pair.leaf.not_valid_before_utc, pair.leaf.not_valid_after_utc
    if now > ends:
        yield _warning(pair, f"it expired on {ends:%Y-%m-%d}", _RENEW)
    elif now + SOON > ends:
        yield _warning(
            pair, f"it expires on {ends:%Y-%m-%d} (days left: {(ends - now).days})", _RENEW
        )
    if now < begins:
        remedy = "see whether the clock of this machine is right, else wait"
        yield _warning(pair, f"it is valid from {begins:%Y-%m-%d %H:%M} UTC on, not yet", remedy)
    if weak := weakness(pair.leaf):
        yield _warning(pair, f"{weak}: clients refuse it", "get a new one, with a new key")


def _warning(pair: Pair, problem: str, remedy: str) -> Finding:
    return Finding(Level.WARNING, str(pair.chain), ", ".join(pair.names), problem, remedy)


def _uncovered(settings: Config, shown: Mapping[str, Sequence[Pair]]) -> Iterator[Finding]:
    """The names that who connects will verify: the hostname where a listener has TLS, and the default."""
    listeners = [each.name for each in settings.listen if each.kind in SUBMISSION or each.tls]
    wanted = (
        [("hostname", settings.hostname, f"listen: {', '.join(listeners)}")] if listeners else []
    )
    wanted += [("tls.default", settings.tls.default, "shown to who asks for no name")]
    for key, name, why in wanted:
        if name and covering(shown, canonical_domain(name)) is None:
            yield Finding(
                Level.WARNING,
                settings.path,
                key,
                f"no certificate is for {name} ({why}): clients refuse what is shown instead",
                f"get one that names it: {HOW_TO}",
            )


def _closed(settings: Config, pairs: Sequence[Pair], who: Identity) -> Iterator[Finding]:
    """What root reads at the start, and the server's user cannot read later."""
    paths = dict.fromkeys(path for pair in pairs for path in (pair.chain, pair.key))
    for path in unreadable(paths, who):
        yield Finding(
            Level.WARNING,
            str(path),
            "",
            f"{who.name} cannot read it: its renewal is noticed only at a restart",
            f"let {who.name} read it, or restart after each renewal: {HOW_TO}",
        )
