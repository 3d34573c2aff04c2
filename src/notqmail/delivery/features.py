"""What a server offers and how our commands look to it: MAIL and RCPT with their parameters. Pure.

Addresses go out exactly as they are: what the grammar took in, it writes (aiosmtplib would pass them through
`email.utils.parseaddr`, which makes `<a>` of `a,b@x`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from notqmail.mail.envelope import Body, Envelope, Notify, Recipient
from notqmail.mail.reply import Reply
from notqmail.mail.traits import Traits
from notqmail.smtp.extension import Extensions, session_limits, size_limit
from notqmail.smtp.xtext import encode_orcpt, encode_xtext

_NO_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Features:
    """The extensions of a session that a transaction cares for; `size` octets, `recipients`, `domains` (of one
    transaction) and `messages` (of the session) at most, RFC 1870 and RFC 9422."""

    starttls: bool = False
    pipelining: bool = False
    eightbit: bool = False
    smtputf8: bool = False
    dsn: bool = False
    takes_size: bool = False
    size: int = _NO_LIMIT
    recipients: int = _NO_LIMIT
    domains: int = _NO_LIMIT
    messages: int = _NO_LIMIT
    auth: tuple[str, ...] = ()  # SASL mechanisms

    @classmethod
    def of(cls, extensions: Extensions) -> Self:
        """Read them from the reply to EHLO. SMTPUTF8 includes 8BITMIME (RFC 6531 §3.1)."""
        limits = session_limits(extensions)
        return cls(
            starttls="STARTTLS" in extensions,
            pipelining="PIPELINING" in extensions,
            eightbit="8BITMIME" in extensions or "SMTPUTF8" in extensions,
            smtputf8="SMTPUTF8" in extensions,
            dsn="DSN" in extensions,
            takes_size="SIZE" in extensions,
            size=size_limit(extensions) or _NO_LIMIT,
            recipients=limits.rcptmax or _NO_LIMIT,
            domains=limits.rcptdomainmax or _NO_LIMIT,
            messages=limits.mailmax or _NO_LIMIT,
            auth=tuple(extensions.get("AUTH", "").upper().split()),
        )


def needs_smtputf8(envelope: Envelope, traits: Traits) -> bool:
    """True when the message as a whole cannot go without SMTPUTF8: for its sender, or for a header that its
    sender declared to be internationalised. Domains never need it: they are A-labels here."""
    if envelope.sender is not None and not envelope.sender.ascii:
        return True
    return envelope.smtputf8 and traits.eightbit_header


def objection(
    envelope: Envelope, traits: Traits, recipient: Recipient, features: Features
) -> Reply | None:
    """Say why this server cannot have the message for this recipient, or None. Another server may."""
    if (
        envelope.requiretls
    ):  # RFC 8689 §4.2.1: it needs a verified certificate, which nobody asked of this server
        return Reply(550, "5.7.30", "REQUIRETLS: the next hop cannot be verified")
    if features.smtputf8:
        return None
    if needs_smtputf8(envelope, traits):
        return Reply(554, "5.6.7", "the message needs SMTPUTF8, which the next hop does not offer")
    if not recipient.address.ascii:
        return Reply(553, "5.6.7", "the address needs SMTPUTF8, which the next hop does not offer")
    return None


def mail_command(
    envelope: Envelope, traits: Traits, size: int, features: Features, *, smtputf8: bool
) -> bytes:
    """MAIL with the parameters that are offered and needed; `size` octets of the message as sent."""
    words = [f"MAIL FROM:<{envelope.sender or ''}>"]
    if features.takes_size:
        words.append(f"SIZE={size}")
    if features.eightbit and (traits.eightbit or envelope.body is Body.EIGHTBIT):
        words.append("BODY=8BITMIME")
    if smtputf8:
        words.append("SMTPUTF8")
    if features.dsn:
        if envelope.ret is not None:
            words.append(f"RET={envelope.ret}")
        _add(words, "ENVID", envelope.envid, encode_xtext)
    return " ".join(words).encode() + b"\r\n"


def rcpt_command(recipient: Recipient, features: Features, *, smtputf8: bool) -> bytes:
    """RCPT with the wishes of RFC 3461 where the server takes them."""
    words = [f"RCPT TO:<{recipient.address}>"]
    if features.dsn:
        if recipient.notify is not None:
            words.append(f"NOTIFY={_NOTIFY[recipient.notify]}")
        _add(words, "ORCPT", recipient.orcpt, lambda o: encode_orcpt(o, smtputf8=smtputf8))
    return " ".join(words).encode() + b"\r\n"


def _add(words: list[str], keyword: str, value: str | None, encode: Callable[[str], str]) -> None:
    """Add a parameter whose value is only told, never needed: what has no form on the wire stays away."""
    if value is None:
        return
    try:
        words.append(f"{keyword}={encode(value)}")
    except ValueError:
        return


_NOTIFY = {
    wish: ",".join(flag.name or "" for flag in wish) or "NEVER" for wish in map(Notify, range(8))
}
