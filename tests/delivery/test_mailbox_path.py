import os.path
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.config import Mailbox, parse
from notqmail.delivery.mailbox_path import (
    component,
    escape_host,
    file_name,
    folder_directory,
    mailbox_path,
    tree_root,
)
from notqmail.mail.address import Address
from notqmail.mail.errors import ConfigError

TEMPLATE = Mailbox().path
ANY = st.text(max_size=64)


@pytest.mark.parametrize(
    ("address", "user"),
    [
        ("alice@example.org", "alice"),
        ("Alice@example.org", "alice"),
        ("a+b_c-d.e@example.org", "a+b_c-d.e"),
        ("o'neil@example.org", "o%27neil"),
        ("a/b@example.org", "a%2Fb"),
        ("100%@example.org", "100%25"),
        ('"."@example.org', "%2E"),
        ('".."@example.org', "%2E."),
        ('".hidden"@example.org', "%2Ehidden"),
        ('"john doe"@example.org', "john%20doe"),
        ("müller@example.org", "m%C3%BCller"),
        ("MÜLLER@example.org", "m%C3%BCller"),
        (unicodedata.normalize("NFD", "müller") + "@example.org", "m%C3%BCller"),
        ("straße@example.org", "strasse"),
    ],
)
def test_user_part_is_encoded_as_the_design_says(address: str, user: str) -> None:
    path = mailbox_path(TEMPLATE, Address.parse(address))

    assert path == f"mail/example.org/{user}/Maildir"


def test_domain_is_in_its_a_label_form() -> None:
    path = mailbox_path(TEMPLATE, Address.parse("alice@bücher.example"))

    assert path == "mail/xn--bcher-kva.example/alice/Maildir"


def test_empty_parts_still_make_a_directory_of_their_own() -> None:
    assert mailbox_path(TEMPLATE, Address("", "")) == "mail/%/%/Maildir"


def test_placeholders_in_an_address_are_not_filled_in() -> None:
    path = mailbox_path(TEMPLATE, Address.parse("{domain}@example.org"))

    assert path == "mail/example.org/%7Bdomain%7D/Maildir"


@given(ANY, ANY)
def test_no_address_leaves_its_directory(local: str, domain: str) -> None:
    path = mailbox_path(TEMPLATE, Address(local, domain))

    parts = path.split("/")
    assert os.path.normpath(path) == path
    assert (parts[0], parts[3]) == ("mail", "Maildir")
    assert len(parts) == 4
    for part in parts[1:3]:
        assert part
        assert not part.startswith(".")
        assert set(part) <= set("abcdefghijklmnopqrstuvwxyz0123456789+_.-%ABCDEF")


@given(ANY, ANY)
def test_different_names_never_share_a_directory(one: str, other: str) -> None:
    assert (component(one) == component(other)) == (one == other)


@pytest.mark.parametrize(
    ("folder", "directory"),
    [
        ("Junk", ".Junk"),
        ("Lists.Python", ".Lists.Python"),
        ("", ""),
        ("INBOX", ""),
        ("..", ""),
        ("../../etc", "._._etc"),
        ("a/b", ".a_b"),
        ("Müll", ".M_ll"),
        (".Junk.", ".Junk"),
        ("x" * 300, "." + "x" * 100),
    ],
)
def test_folder_becomes_a_maildir_plus_plus_directory(folder: str, directory: str) -> None:
    assert folder_directory(folder) == directory


@given(st.text())
def test_no_folder_leaves_its_maildir(folder: str) -> None:
    name = folder_directory(folder)

    assert "/" not in name
    assert "\0" not in name
    assert name == "" or (name.startswith(".") and name[1:2] not in ("", "."))


def test_same_queue_id_and_recipient_give_the_same_name() -> None:
    alice = Address.parse("alice@example.org")

    name = file_name(1_800_000_000.9, "0ABC", alice, "mx.example.org")

    assert name == file_name(1_800_000_000.9, "0ABC", alice, "mx.example.org")
    assert name.startswith("1800000000.Q0ABCR")
    assert name.endswith(".mx.example.org")


def test_each_recipient_has_a_name_of_its_own() -> None:
    names = {
        file_name(0, "1", Address.parse(address), "h")
        for address in ("alice@example.org", "alice+x@example.org", "bob@example.org")
    }

    assert len(names) == 3


def test_host_in_a_file_name_is_escaped_and_bounded() -> None:
    assert escape_host("a/b:c") == r"a\057b\072c"
    assert len(escape_host("x" * 255)) == 64


@pytest.mark.parametrize(
    ("template", "root"),
    [
        (TEMPLATE, "/data"),
        ("{domain}/{user}", "/data"),
        ("/var/vmail/{domain}/{user}/Maildir", "/var/vmail"),
        ("/home/{user}/Maildir", "/home"),
        ("/x{user}", "/"),
    ],
)
def test_tree_grows_from_the_data_directory_or_an_absolute_path(template: str, root: str) -> None:
    assert tree_root(Path("/data"), template) == root


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("mail/{domain}/Maildir", "share one directory"),
        ("mail/{user}/Maildir", "share one directory"),
        ("mail/{domain}/{user}/{home}", "only {domain} and {user}"),
        ("mail/{domain}/{user.x}", "only {domain} and {user}"),
        ("../{domain}/{user}", "goes up"),
    ],
)
def test_template_that_would_mix_mailboxes_is_refused_by_the_configuration(
    path: str, problem: str
) -> None:
    domains = [{"name": "example.org"}, {"name": "example.net"}]
    raw = {"hostname": "mx.example.org", "domain": domains, "mailbox": {"path": path}}

    with pytest.raises(ConfigError, match=problem) as caught:
        parse(raw, Path("/etc/notqmail.toml"))

    assert caught.value.where.endswith("mailbox.path")


def test_one_domain_needs_no_place_in_the_template() -> None:
    raw = {
        "hostname": "mx.example.org",
        "domain": [{"name": "example.org"}],
        "mailbox": {"path": "/home/{user}/Maildir"},
    }

    assert parse(raw, Path("/x.toml")).mailbox.path == "/home/{user}/Maildir"
