"""The message that tells the postmaster of an account whose mail is held."""

import shlex

from notqmail.mail.address import Address
from notqmail.mail.date import date_time
from notqmail.mail.dsn_words import MAX_NAME, clean, wrap
from notqmail.mail.mime import part
from notqmail.mail.sending import Hold


def render_notice(hold: Hold, *, id: str, hostname: str, to: Address, at: float) -> bytes:
    """Give it whole, with CRLF line ends, without trace fields. `id` makes its Message-ID, `at` is now."""
    header = [
        f"From: Mail System <MAILER-DAEMON@{hostname}>",
        f"To: <{to.display() if not to.ascii else to}>",
        f"Subject: Account held for sending too much: {clean(hold.account, 100)}",
        f"Date: {date_time(at)}",
        f"Message-ID: <{id}@{hostname}>",
        "Auto-Submitted: auto-generated",  # RFC 3834 §5
        "MIME-Version: 1.0",
    ]
    text = part("text/plain; charset=utf-8", _text(hold, hostname).encode(), eight_bit=not to.ascii)
    return "".join(f"{line}\r\n" for line in header).encode() + text


def _text(hold: Hold, hostname: str) -> str:
    account = clean(hold.account, MAX_NAME, utf8=True)
    quoted = shlex.quote(account)
    paragraphs = [
        f"This is the mail server {hostname}.",
        f"The account {account} has sent {hold.reason}. Since {date_time(hold.since)} its mail is kept in the queue: "
        "it is accepted as before, and nothing of it leaves until you say so. Its owner has not been told.",
        "See what it is:",
        f"    notqmail queue list --login {quoted}\r\n    notqmail queue cat ID",
        "If somebody has stolen the password, change it, delete what is not the owner's, and let the account go on:",
        f"    notqmail user passwd {quoted}\r\n"
        f"    notqmail queue delete --held --login {quoted}\r\n"
        f"    notqmail user release {quoted}",
        "If all is well, let it go on; the count begins anew:",
        f"    notqmail user release {quoted}",
        "You will not be told of this hold again.",
    ]
    return "\r\n\r\n".join(p if p.startswith(" ") else wrap(p) for p in paragraphs) + "\r\n"
