"""The configuration as text, made from the structs of `config`: every key, what it means and its default.

`notqmail init` writes it with what it was told; config/notqmail.toml is the same with example values, and the reference
is made of the same facts. A key that keeps its default stands as a comment.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta

from notqmail.config import Config, Seconds, Section, Size

Values = Mapping[str, Any]
"""What is set in a table, by key; a table in it is a mapping, an array of tables a sequence of mappings."""

HEAD = """\
# The configuration of notqmail. A key that stands behind a "#" has the value that is shown.
# Spans are written "90s", "5m", "4h", "7d"; sizes "64KB", "50MB", in powers of 1024.
# Check it with `notqmail check`, apply it with `notqmail reload`.
"""

_SPANS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_SIZES = (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10), ("B", 1))
_FILLED_IN = (Config, "path")  # by config.load


class Key(NamedTuple):
    """A key of a table. `default` is NODEFAULT when it must be given."""

    name: str
    about: str
    default: Any


class Table(NamedTuple):
    """A table of the file. `name` is its last key, "" at the top; `array`: it may stand several times."""

    name: str
    about: str
    array: bool
    keys: tuple[Key, ...]
    tables: tuple["Table", ...]


def describe(section: type[Section] = Config, name: str = "", *, array: bool = False) -> Table:
    """Give a section of the configuration as a value."""
    keys, tables = [], []
    for field in msgspec.structs.fields(section):
        kind, about = _unwrap(field.type)
        inner = next(iter(get_args(kind)), kind)
        if isinstance(inner, type) and issubclass(inner, Section):
            tables.append(describe(inner, field.name, array=inner is not kind))
        elif (section, field.name) != _FILLED_IN:
            keys.append(Key(field.name, f"{about}{_choices(kind)}", field.default))
    about = " ".join((section.__doc__ or "").split())
    return Table(name, about, array, tuple(keys), tuple(tables))


def _unwrap(kind: Any) -> tuple[Any, str]:
    """Take the description off an annotated type."""
    if get_origin(kind) is not Annotated:
        return kind, ""
    plain, *notes = get_args(kind)
    about = next((n.description for n in notes if isinstance(n, Meta) and n.description), "")
    return plain, about


def _choices(kind: Any) -> str:
    return (
        f"; one of {', '.join(map(literal, get_args(kind)))}" if get_origin(kind) is Literal else ""
    )


def render(values: Values) -> str:
    """Write a configuration file with these values."""
    return f"{HEAD}{''.join(_table(describe(), '', values))}"


def _table(table: Table, path: str, values: Values) -> Iterator[str]:
    for key in table.keys:
        value = values.get(key.name, key.default)
        hidden = "" if key.name in values or value is NODEFAULT else "#"
        yield f"\n# {key.about}\n{hidden}{key.name} = {literal(value)}\n"
    for inner in table.tables:
        at = f"{path}.{inner.name}" if path else inner.name
        given = values.get(inner.name, {})
        for each in given if inner.array else [given]:
            bar = "" if path else f"\n# {'-' * 100}"
            header = f"[[{at}]]" if inner.array else f"[{at}]"
            yield f"{bar}\n# {inner.about}\n{header}\n"
            yield from _table(inner, at, each)


def literal(value: Any) -> str:
    """Write a value as TOML, spans and sizes with the largest unit that fits."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return msgspec.json.encode(value).decode()
        case Seconds():
            return f'"{quantity(value, _SPANS)}"'
        case Size():
            return f'"{quantity(value, _SIZES)}"'
        case list() | tuple():
            return f"[{', '.join(map(literal, value))}]"
        case _:
            return str(value)


def quantity(value: float, units: Sequence[tuple[str, int]]) -> str:
    """Write a whole number of the largest unit that gives one."""
    for unit, length in units:
        if value >= length and value % length == 0:
            return f"{value // length:.0f}{unit}"
    return f"{value:g}{units[-1][0]}"
