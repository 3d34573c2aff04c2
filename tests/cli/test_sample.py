"""The configuration as text: complete, loadable, and with the defaults of the code."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from notqmail import config
from notqmail.cli.sample import Table, describe, literal, render
from notqmail.config import Config, Seconds, Size

LEAST = {
    "hostname": "mx.example.org",
    "listen": [{"name": "mx", "kind": "mx", "bind": ["127.0.0.1:25"]}],
    "domain": [{"name": "example.org"}],
}

# with one of each table that may stand several times
WHOLE = {
    **LEAST,
    "tls": {"certificate": [{"chain": "tls/cert.pem", "key": "tls/key.pem"}]},
    "outbound": {"to": [{"name": "strict"}]},
}


def parsed(text: str) -> Config:
    return config.parse(tomllib.loads(text), Path("/x/notqmail.toml"))


def test_the_least_file_has_every_default() -> None:
    assert parsed(render(LEAST)) == config.parse(LEAST, Path("/x/notqmail.toml"))


def test_every_comment_that_shows_a_key_shows_its_default() -> None:
    shown = re.sub(r"(?m)^#(?=\w+ = )", "", render(LEAST))

    assert parsed(shown) == parsed(render(LEAST))
    assert shown.count(" = ") > 60


def test_every_key_stands_there_with_its_meaning() -> None:
    text = render(WHOLE)

    def walk(table: Table) -> None:
        for key in table.keys:
            assert key.about, f"{table.name}.{key.name} has no description"
            assert re.search(rf"(?m)^# .+\n#?{key.name} = ", text)
        for inner in table.tables:
            assert f"{inner.name}]" in text
            walk(inner)

    walk(describe())


def test_values_are_written_where_they_are_given() -> None:
    values = {**LEAST, "queue": {"lifetime": "3d"}, "local": {"message": "1MB"}}

    assert parsed(render(values)) == config.parse(values, Path("/x/notqmail.toml"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (3, "3"),
        ('a "b" \\', '"a \\"b\\" \\\\"'),
        (("a", "b"), '["a", "b"]'),
        ((), "[]"),
        (Seconds(0), '"0s"'),
        (Seconds(90), '"90s"'),
        (Seconds(300), '"5m"'),
        (Seconds(0.5), '"0.5s"'),
        (Seconds(7 * 86400), '"7d"'),
        (Size(64 << 10), '"64KB"'),
        (Size(1000), '"1000B"'),
        (Size(1 << 30), '"1GB"'),
    ],
)
def test_values_are_toml_with_their_units(value: object, text: str) -> None:
    assert literal(value) == text


def test_a_choice_is_told() -> None:
    kinds = next(t for t in describe().tables if t.name == "listen").keys[1]

    assert 'one of "mx", "submission"' in kinds.about


def test_the_description_covers_the_struct() -> None:
    top = describe()

    names = {key.name for key in top.keys} | {table.name for table in top.tables}
    assert names | {"path"} == set(msgspec.structs.asdict(parsed(render(LEAST))))
