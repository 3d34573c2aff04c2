"""How mail leaves, as the file says it."""

from pathlib import Path
from typing import Any

import pytest

from notqmail.config import Config, SmarthostLogin, parse
from notqmail.mail.errors import ConfigError

HERE = Path("/etc/notqmail/notqmail.toml")
LOGIN = {"user": "alice", "password_file": "password"}
VERIFIED = {"smarthost": "relay.example:465", "tls": "verify"}


def config(**outbound: Any) -> Config:
    return parse({"hostname": "mx.example.org", "outbound": outbound}, HERE)


def key_of(**outbound: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        config(**outbound)
    assert caught.value.remedy
    assert "secret" not in str(caught.value)
    return caught.value.where.removeprefix(f"{HERE}: ")


def table(**keys: Any) -> dict[str, Any]:
    return {"to": [{"name": "t", **keys}]}


def test_paths_stand_beside_the_file() -> None:
    outbound = config(
        ca_file="ca.pem",
        **VERIFIED,
        login=LOGIN,
        to=[{"name": "t", **VERIFIED, "login": {**LOGIN, "password_file": "/run/secret"}}],
    ).outbound

    assert outbound.ca_file == "/etc/notqmail/ca.pem"
    assert outbound.login.password_file == "/etc/notqmail/password"
    assert outbound.to[0].login.password_file == "/run/secret"
    assert config().outbound.login == SmarthostLogin()
    assert config().outbound.ca_file == ""


@pytest.mark.parametrize("tls", ["never", "opportunistic", "encrypt", "verify"])
def test_floors_are_these(tls: str) -> None:
    assert config(tls=tls, **table(tls=tls)).outbound.to[0].tls == tls


def test_everything_a_table_may_say() -> None:
    said = {
        "name": "provider",
        "domains": ["example.net", ".example.net", "*", "[192.0.2.1]", "bücher.example"],
        "senders": ["alice@example.org", "@example.org", "<>"],
        "smarthost": "[2001:db8::1]:2465",
        "implicit_tls": True,
        "tls": "verify",
        "tls_names": ["host", "domain", "relay.example", ".relay.example"],
        "prefer": "ipv6",
        "bind_ipv4": "192.0.2.2",
        "bind_ipv6": "2001:db8::2",
        "login": {**LOGIN, "mechanisms": ["PLAIN"]},
    }

    assert config(to=[said]).outbound.to[0].name == "provider"


@pytest.mark.parametrize(
    ("outbound", "key"),
    [
        ({"smarthost": "relay.example"}, "outbound.smarthost"),
        ({"smarthost": "relay.example:0"}, "outbound.smarthost"),
        ({"smarthost": "relay example:25"}, "outbound.smarthost"),
        ({"smarthost": "relay;x:25"}, "outbound.smarthost"),
        ({"smarthost": "2001:db8::1:25"}, "outbound.smarthost"),
        ({"smarthost": "smtps://relay.example:465"}, "outbound.smarthost"),
        (table(smarthost="relay.example"), "outbound.to[0].smarthost"),
        (table(domains=["a..b"]), "outbound.to[0].domains"),
        (table(domains=["*.example"]), "outbound.to[0].domains"),
        (table(domains=["[nonsense]"]), "outbound.to[0].domains"),
        (table(domains=["alice@example.net"]), "outbound.to[0].domains"),
        (table(senders=["example.org"]), "outbound.to[0].senders"),
        (table(senders=["@"]), "outbound.to[0].senders"),
        (table(tls_names=["*.example"]), "outbound.to[0].tls_names"),
        ({"bind_ipv4": "2001:db8::1"}, "outbound.bind_ipv4"),
        ({"bind_ipv6": "192.0.2.1"}, "outbound.bind_ipv6"),
        (table(bind_ipv4="eth0"), "outbound.to[0].bind_ipv4"),
        ({"implicit_tls": True}, "outbound.implicit_tls"),
        ({"smarthost": "relay.example:465", "tls": "never"}, "outbound.tls"),
        ({"to": [{"name": "t"}, {"name": "t"}]}, "outbound.to[0].name"),
        # a login
        ({**VERIFIED, "login": {"user": "alice"}}, "outbound.login.password_file"),
        ({**VERIFIED, "login": {"password_file": "x"}}, "outbound.login.user"),
        ({**VERIFIED, "login": {**LOGIN, "user": "a\0b"}}, "outbound.login.user"),
        ({"tls": "verify", "login": LOGIN}, "outbound.login"),
        ({**VERIFIED, "tls": "encrypt", "login": LOGIN}, "outbound.login"),
        ({"smarthost": "relay.example:587", "login": LOGIN}, "outbound.login"),
        (table(smarthost="relay.example:587", login=LOGIN), "outbound.to[0].login"),
    ],
)
def test_what_cannot_be_is_refused_with_its_key(outbound: dict[str, Any], key: str) -> None:
    assert key_of(**outbound) == key


@pytest.mark.parametrize(
    ("outbound", "key"),
    [
        ({"tls": "maybe"}, "outbound.tls"),
        ({"tls_names": []}, "outbound.tls_names"),
        ({"to": [{"domains": ["*"]}]}, "outbound.to[0]"),
        ({"to": [{"name": "a;b"}]}, "outbound.to[0].name"),
        ({"to": [{"name": ""}]}, "outbound.to[0].name"),
        ({"login": {**LOGIN, "mechanisms": ["CRAM-MD5"]}}, "outbound.login.mechanisms[0]"),
    ],
)
def test_what_is_of_the_wrong_kind_is_refused_with_its_key(
    outbound: dict[str, Any], key: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**outbound)

    assert caught.value.where == f"{HERE}: {key}"


def test_password_in_the_file_itself_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="did you mean `password_file`") as caught:
        config(**VERIFIED, login={"user": "alice", "password": "secret"})

    assert "secret" not in str(caught.value)


def test_login_of_a_table_may_rest_on_the_floor_of_the_default() -> None:
    assert config(tls="verify", **table(smarthost="relay.example:587", login=LOGIN))
