"""docs/how-to/smarthost.md: what it tells people to write is a configuration."""

import re
from pathlib import Path

import pytest

from notqmail.config import load
from notqmail.mail.address import Address
from notqmail.queue.destination import Destinations

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "smarthost.md").read_text("utf-8")
FIRST, TABLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("snippet", [FIRST, TABLES], ids=["one", "tables"])
def test_snippet_loads(tmp_path: Path, snippet: str) -> None:
    file = tmp_path / "notqmail.toml"
    file.write_text(f'hostname = "mx.example.org"\n{snippet}', "utf-8")

    outbound = load(file).outbound

    assert outbound.smarthost == "smtp.provider.example:465"
    assert outbound.login.password_file == str(tmp_path.resolve() / "smarthost-password")


@pytest.mark.parametrize(
    ("sender", "domain", "nexthop"),
    [
        ("alice@example.org", "example.net", "smtp.provider.example:465"),
        ("bob@club.example", "example.net", "mail.club.example:587;club"),
        ("alice@example.org", "a.office.example", "10.0.0.25:25;office"),
    ],
)
def test_tables_send_mail_where_the_page_says(
    tmp_path: Path, sender: str, domain: str, nexthop: str
) -> None:
    file = tmp_path / "notqmail.toml"
    file.write_text(f'hostname = "mx.example.org"\n{TABLES}', "utf-8")

    hop = Destinations(load(file).outbound).hop(domain, Address.parse(sender))

    assert hop.nexthop == nexthop
