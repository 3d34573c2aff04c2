"""The configuration file."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.config import Config, Endpoint, Seconds, Size, endpoint, load, parse
from notqmail.mail.address import Address
from notqmail.mail.errors import ConfigError

HERE = Path("/etc/notqmail/notqmail.toml")
LISTEN = {"name": "mx", "kind": "mx", "bind": ["127.0.0.1:2025"]}


def config(**keys: Any) -> Config:
    return parse({"hostname": "mx.example.org", **keys}, HERE)


def refused(**keys: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        config(**keys)
    assert "\n" not in str(caught.value)
    assert caught.value.where.startswith(f"{HERE}: ")
    return caught.value


def key_of(error: ConfigError) -> str:
    return error.where.removeprefix(f"{HERE}: ")


# reading


def test_a_host_name_is_enough() -> None:
    minimal = config()

    assert minimal.hostname == "mx.example.org"
    assert minimal.domains == ()
    assert minimal.postmaster_address is None


def test_a_file_is_read_and_its_paths_stand_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "notqmail.toml"
    file.write_text('hostname = "mx.example.org"\ndata_dir = "var"\nusers = "/etc/users"\n')

    loaded = load(file)

    assert loaded.path == str(file.resolve())
    assert loaded.data == tmp_path.resolve() / "var"
    assert loaded.users == "/etc/users"
    assert loaded.aliases == str(tmp_path.resolve() / "aliases")


def test_a_missing_file_is_told_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="notqmail init") as caught:
        load(tmp_path / "none.toml")
    assert caught.value.where == str(tmp_path / "none.toml")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="directory"):
        load(tmp_path)


@pytest.mark.parametrize(
    "octets", [b"hostname = ", b"\xff", b"a = 1\na = 2\n", b"a = " + b"[" * 5000]
)
def test_a_file_that_is_no_toml_is_told(tmp_path: Path, octets: bytes) -> None:
    file = tmp_path / "notqmail.toml"
    file.write_bytes(octets)

    with pytest.raises(ConfigError, match="not valid TOML"):
        load(file)


# units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("4h", 14400),
        ("7d", 604800),
        ("1w", 604800),
        ("250ms", 0.25),
        ("1.5 h", 5400),
        (30, 30),
        (0.5, 0.5),
    ],
)
def test_a_time_has_a_unit(text: str | float, seconds: float) -> None:
    lifetime = config(queue={"lifetime": text}).queue.lifetime

    assert lifetime == seconds
    assert isinstance(lifetime, Seconds)


@pytest.mark.parametrize(
    ("text", "octets"),
    [("64KB", 65536), ("50MB", 52428800), ("1GB", 1 << 30), ("100 B", 100), (4096, 4096)],
)
def test_a_size_has_a_unit(text: str | int, octets: int) -> None:
    inline = config(queue={"inline": text}).queue.inline

    assert inline == octets
    assert isinstance(inline, Size)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "s",
        "5 parsecs",
        "5M",
        "-5s",
        "5s5",
        "1e3",
        "٣s",
        "²",
        True,
        [1],
        {},
        -1,
        float("inf"),
        float("nan"),
        "9" * 400,
    ],
)
def test_what_is_no_time_is_refused_with_its_key(value: Any) -> None:
    assert key_of(refused(queue={"lifetime": value})) == "queue.lifetime"


@pytest.mark.parametrize("value", ["50mb", "50s", "1TB", "9" * 400 + "GB", None])
def test_what_is_no_size_is_refused_with_its_key(value: Any) -> None:
    assert key_of(refused(queue={"inline": value})) == "queue.inline"


# keys


def test_an_unknown_key_is_told_with_the_nearest_known_one() -> None:
    error = refused(hostnam="x")

    assert key_of(error) == "hostnam"
    assert error.remedy == "did you mean `hostname`?"


def test_an_unknown_key_far_from_all_is_told_with_those_there_are() -> None:
    error = refused(web={"qqqq": 1})

    assert key_of(error) == "web.qqqq"
    assert error.remedy.startswith("known keys: bind")


def test_an_unknown_key_deep_down_is_told_with_its_path() -> None:
    assert key_of(refused(queue={"lifetim": "1d"})) == "queue.lifetim"
    listen = [LISTEN, {**LISTEN, "name": "b", "limits": {"recipient": 100}}]
    assert key_of(refused(listen=listen)) == "listen[1].limits.recipient"
    assert key_of(refused(domain=[{"nam": "example.org"}])) == "domain[0].nam"


def test_the_files_own_path_is_no_key() -> None:
    assert key_of(refused(path="/x")) == "path"


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"hostname": 5}, "hostname"),
        ({"hostname": ["mx.example.org"]}, "hostname"),
        ({"queue": 1}, "queue"),
        ({"listen": "mx"}, "listen"),
        ({"listen": [1]}, "listen[0]"),
        ({"listen": [{**LISTEN, "kind": "imap"}]}, "listen[0].kind"),
        ({"listen": [{**LISTEN, "bind": []}]}, "listen[0].bind"),
        ({"listen": [{**LISTEN, "limits": {"recipients": 1}}]}, "listen[0].limits.recipients"),
        ({"outbound": {"port": 65536}}, "outbound.port"),
        ({"mailbox": {"file_mode": "rw"}}, "mailbox.file_mode"),
        ({"addressing": {"separator": "+-"}}, "addressing.separator"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_its_key(keys: dict[str, Any], key: str) -> None:
    assert key_of(refused(**keys)) == key


def test_a_missing_host_name_is_told() -> None:
    with pytest.raises(ConfigError, match="hostname"):
        parse({}, HERE)


# what types cannot say


def test_domains_are_given_as_a_labels_in_their_order() -> None:
    domains = [{"name": "Example.org"}, {"name": "bücher.example"}]

    assert config(domain=domains).domains == ("example.org", "xn--bcher-kva.example")


def test_a_domain_that_stands_twice_in_any_spelling_is_refused() -> None:
    assert (
        key_of(refused(domain=[{"name": "bücher.example"}, {"name": "XN--BCHER-KVA.example"}]))
        == "domain"
    )


def test_a_host_name_that_is_none_is_refused() -> None:
    assert key_of(refused(hostname="mx_1.example.org")) == "hostname"
    assert key_of(refused(domain=[{"name": "a"}, {"name": "b..c"}])) == "domain[1].name"


def test_a_host_name_must_be_fully_qualified() -> None:
    assert "give the full name" in refused(hostname="localhost").remedy


def test_the_postmaster_is_an_address() -> None:
    assert config(postmaster="a@example.org").postmaster_address == Address("a", "example.org")
    assert key_of(refused(postmaster="nobody in particular")) == "postmaster"


def test_a_listener_has_a_name_a_kind_and_addresses() -> None:
    (listen,) = config(listen=[LISTEN]).listen

    assert (listen.name, listen.kind, listen.bind) == ("mx", "mx", ("127.0.0.1:2025",))


def test_two_listeners_need_two_names() -> None:
    assert key_of(refused(listen=[LISTEN, LISTEN])) == "listen"


def test_what_is_bound_is_an_address_and_port() -> None:
    assert key_of(refused(listen=[{**LISTEN, "bind": ["127.0.0.1:1", "25"]}])) == "listen[0].bind"
    assert key_of(refused(web={"bind": ["::1:80"]})) == "web.bind"


def test_bare_lf_is_repaired_for_submission_only() -> None:
    error = refused(listen=[{**LISTEN, "repair_bare_lf": True}])

    assert key_of(error) == "listen[0].repair_bare_lf"
    assert "smuggled" in str(error)


@pytest.mark.parametrize("kind", ["submission", "submissions", "lmtp"])
def test_a_port_is_not_opened_without_its_protection(kind: str) -> None:
    assert key_of(refused(listen=[{**LISTEN, "kind": kind}])) == "listen[0].kind"


def test_a_submission_port_is_opened_with_a_certificate() -> None:
    made = config(
        listen=[{**LISTEN, "kind": "submissions"}],
        tls={"certificate": [{"chain": "tls/{name}.pem", "key": "/k/{name}.key"}]},
    )

    [certificate] = made.tls.certificate
    assert certificate.chain.endswith("/tls/{name}.pem")
    assert certificate.chain.startswith("/")
    assert certificate.key == "/k/{name}.key"


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"listen": [{**LISTEN, "proxy": ["10.0.0.1/8"]}]}, "listen[0].proxy"),
        ({"listen": [{**LISTEN, "xclient": ["here"]}]}, "listen[0].xclient"),
        ({"auth": {"ban": {"exempt": ["::1/x"]}}}, "auth.ban.exempt"),
        ({"auth": {"realm": "-"}}, "auth.realm"),
        ({"auth": {"argon2": {"memory": "16KB", "lanes": 3}}}, "auth.argon2.memory"),
        ({"auth": {"sources": ["checkpassword"]}}, "auth.checkpassword.command"),
        ({"tls": {"default": "a..b"}}, "tls.default"),
        ({"tls": {"certificate": [{"chain": "c", "key": "{name}"}]}}, "tls.certificate[0].chain"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_key(keys: dict[str, Any], key: str) -> None:
    assert key_of(refused(**keys)) == key


def test_a_smarthost_has_a_port() -> None:
    assert config(outbound={"smarthost": "smtp.example.net:587"})
    assert key_of(refused(outbound={"smarthost": "smtp.example.net"})) == "outbound.smarthost"


# endpoints


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:25", "127.0.0.1", 25),
        ("[2001:DB8::1]:25", "2001:db8::1", 25),
        ("[fe80::1%eth0]:25", "fe80::1%eth0", 25),
        ("[::]:25", "::", 25),
        ("mx.example.org:0", "mx.example.org", 0),
        ("h:65535", "h", 65535),
    ],
)
def test_an_endpoint_is_host_and_port(text: str, host: str, port: int) -> None:
    assert endpoint(text) == Endpoint(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "h",
        "h:",
        ":25",
        "h:x",
        "h:-1",
        "h:65536",
        "h:²",
        "::1:25",
        "[::1]",
        "[x]:25",
        "h:" + "9" * 5000,
    ],
)
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        endpoint(text)


# robustness

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "kind", "bind", "limits", "lifetime", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*Config.__struct_fields__, "x"]), values, max_size=4))
def test_no_document_does_anything_but_load_or_be_refused(document: dict[str, Any]) -> None:
    try:
        loaded = parse(document, HERE)
    except ConfigError as error:
        assert str(error).startswith(str(HERE))  # noqa: PT017 - either outcome is right
    else:
        assert loaded.path == str(HERE)
