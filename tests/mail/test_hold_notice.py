"""What the postmaster reads of a held account."""

import email
import email.policy

import pytest

from notqmail.mail.address import Address
from notqmail.mail.hold_notice import render_notice
from notqmail.mail.sending import Hold

REASON = "501 messages within an hour, submission.messages_per_hour is 500"
POSTMASTER = Address("postmaster", "example.org")


def notice(account: str = "alice@example.org", to: Address = POSTMASTER) -> bytes:
    hold = Hold(account, 1_800_000_000.0, REASON)
    return render_notice(hold, id="1ID", hostname="mx.example.org", to=to, at=1_800_000_060.0)


def test_it_says_who_and_why_and_what_to_do() -> None:
    message = email.message_from_bytes(notice(), policy=email.policy.SMTP)

    text = " ".join(message.get_content().split())
    assert message["Subject"] == "Account held for sending too much: alice@example.org"
    assert message["To"] == "postmaster@example.org"
    assert message["Message-ID"] == "<1ID@mx.example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert f"The account alice@example.org has sent {REASON}." in text
    assert "Since Fri, 15 Jan 2027 08:00:00 +0000" in text
    for command in (
        "notqmail queue list --login alice@example.org",
        "notqmail user passwd alice@example.org",
        "notqmail queue delete --held --login alice@example.org",
        "notqmail user release alice@example.org",
    ):
        assert command in text


def test_every_line_ends_in_crlf_and_is_short() -> None:
    lines = notice().split(b"\r\n")

    assert not any(b"\n" in line or b"\r" in line for line in lines)
    assert max(map(len, lines)) <= 78


@pytest.mark.parametrize("account", ["x\r\nBcc: eve@example.net", "x; rm -rf /", "x'$(id)'"])
def test_a_name_can_forge_neither_a_header_nor_a_command(account: str) -> None:
    octets = notice(account)
    message = email.message_from_bytes(octets, policy=email.policy.SMTP)

    assert "Bcc" not in message
    assert f"release {account}\r\n".encode() not in octets


def test_it_travels_in_utf8_only_to_who_needs_it() -> None:
    zoe = Address("zoë", "example.org")

    assert notice("zoë@example.org").isascii()
    assert "To: <zoë@example.org>\r\n".encode() in notice(to=zoe)
