from collections.abc import Callable
from pathlib import Path

import pytest

from notqmail.mail.errors import AddressError, ConfigError
from notqmail.system.domains_edit import (
    _blocks,
    add_domain,
    list_domains,
    remove_domain,
)

HEAD = '# our server\nhostname = "mx.example.org"  # the name\n'
ORG = '[[domain]]\nname = "example.org"\n'
NET = '# for the others\n[[domain]]\n  name = "example.net" # old\n'
QUEUE = '# patience\n[queue]\nlifetime = "3d"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "notqmail.toml"
    path.write_text(f"{HEAD}\n{ORG}\n{NET}\n{QUEUE}")
    return path


def test_domains_are_listed_in_the_order_of_the_file(file: Path) -> None:
    assert list_domains(file) == ["example.org", "example.net"]


def test_added_domain_stands_after_the_last_one(file: Path) -> None:
    add_domain(file, "Example.COM")

    added = '[[domain]]\nname = "example.com"\n'
    assert file.read_text() == f"{HEAD}\n{ORG}\n{NET}\n{added}\n{QUEUE}"
    assert list_domains(file) == ["example.org", "example.net", "example.com"]


def test_international_domain_is_written_as_a_label(file: Path) -> None:
    add_domain(file, "bücher.example")

    assert 'name = "xn--bcher-kva.example"' in file.read_text()


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_first_domain_stands_at_the_end(file: Path, end: str) -> None:
    file.write_text(f"{HEAD}{QUEUE}{end}".removesuffix("\n"))

    add_domain(file, "example.org")

    assert file.read_text().startswith(f"{HEAD}{QUEUE}")
    assert list_domains(file) == ["example.org"]


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("example.org", f"{HEAD}\n{NET}\n{QUEUE}"),
        ("EXAMPLE.net", f"{HEAD}\n{ORG}\n# for the others\n\n{QUEUE}"),
    ],
)
def test_removed_domain_takes_its_block_away_and_nothing_else(
    file: Path, name: str, left: str
) -> None:
    remove_domain(file, name)

    assert file.read_text() == left


def test_adding_and_removing_gives_the_same_file(file: Path) -> None:
    before = file.read_text()

    add_domain(file, "example.com")
    remove_domain(file, "example.com")

    assert file.read_text() == before


def test_domain_is_not_added_twice(file: Path) -> None:
    with pytest.raises(ConfigError, match="is there already"):
        add_domain(file, "EXAMPLE.org")


def test_unknown_domain_is_told(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no domain example\.com"):
        remove_domain(file, "example.com")


def test_what_is_no_domain_is_refused(file: Path) -> None:
    with pytest.raises(AddressError):
        add_domain(file, 'x"\nhostname = "y')


@pytest.mark.parametrize(
    ("text", "change", "name"),
    [
        ('domain = [{name = "example.org"}]\n' + HEAD, add_domain, "example.com"),
        ('domain = [{name = "example.org"}]\n' + HEAD, remove_domain, "example.org"),
        (HEAD + '[[domain]]\n"name" = "example.org"\n', remove_domain, "example.org"),
    ],
)
def test_domains_written_in_another_way_are_left_to_the_admin(
    file: Path, text: str, change: Callable[[Path, str], None], name: str
) -> None:
    file.write_text(text)

    with pytest.raises(ConfigError, match="edit the file by hand"):
        change(file, name)

    assert file.read_text() == text


def test_part_of_a_domain_goes_with_it() -> None:
    """[domain.x] tables belong to the block before them."""
    kept = [*ORG.splitlines(), "[domain.x]", "y = 1", "[queue]"]

    assert _blocks(kept) == [(0, 4)]


def test_block_like_text_inside_a_string_is_not_cut(file: Path) -> None:
    text = f'{HEAD}postmaster = """\n[[domain]]\nname = "example.org"\n"""\n{ORG}'
    file.write_text(text)

    with pytest.raises(ConfigError):
        remove_domain(file, "example.org")

    assert file.read_text() == text
