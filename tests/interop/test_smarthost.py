"""A smarthost gets everything that is not for us, whatever DNS says."""

import pytest

from tests.support import postfix
from tests.support.server import DOMAIN, serving

pytestmark = pytest.mark.interop


def test_smarthost_takes_mail_for_everywhere() -> None:
    with postfix.running(
        users=("bob",),
        virtual_alias_maps="inline:{@elsewhere.test=bob@postfix.test}",
        virtual_alias_domains="elsewhere.test",
    ) as peer:
        settings = {
            "outbound.smarthost": f"{peer.host}:{peer.port}",
            "dns.servers": ["127.0.0.1:9"],
        }
        with serving(settings=settings) as server:
            given = server.command(
                "inject",
                "-f",
                f"alice@{DOMAIN}",
                "x@elsewhere.test",
                given=b"Subject: s\n\nby-smarthost\n",
            )
            assert given.status == 0, given.output

            peer.wait_message("by-smarthost")
