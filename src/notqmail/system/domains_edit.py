"""Editing the domains of the configuration file: `[[domain]]` blocks come and go, everything else stays as written.

The text is edited as text, then parsed: what comes out must be the old configuration with just this domain more or
less. Where it is not (domains written inline, brackets inside a long string) the file is left alone and the admin
told to do it by hand.
"""

import re
import tomllib
from itertools import takewhile
from pathlib import Path

import msgspec

from notqmail import config
from notqmail.config import Config
from notqmail.mail.errors import ConfigError
from notqmail.mail.idn import canonical_domain
from notqmail.system.accounts import read_text
from notqmail.system.replace import editing, replace_text

_HEADER = re.compile(r"\s*\[")
_DOMAIN = re.compile(r"\s*\[\[\s*domain\s*\]\]")
_PART = re.compile(r"\s*\[\[?\s*domain\s*\.")  # [domain.something] belongs to the block before it
_NAME = re.compile(r"\s*name\s*=")


def list_domains(path: Path) -> list[str]:
    """Give the domains as A-labels in the order of the file. Raises ConfigError, as everything here does."""
    return list(config.load(path).domains)


def add_domain(path: Path, name: str) -> None:
    """Add a `[[domain]]` block after the last one; raise also AddressError for what is no domain."""
    domain = canonical_domain(name)
    with editing(path):
        before = config.load(path)
        if domain in before.domains:
            raise ConfigError(str(path), f"{domain} is there already", "notqmail domain list")
        kept = read_text(path).rstrip("\n").split("\n")
        blocks = _blocks(kept)
        at = blocks[-1][1] if blocks else len(kept)
        kept[at:at] = ["", "[[domain]]", f'name = "{domain}"']
        _replace(path, kept, before, [*before.domains, domain])


def remove_domain(path: Path, name: str) -> None:
    """Remove the `[[domain]]` block of a domain; raise also AddressError for what is no domain."""
    domain = canonical_domain(name)
    with editing(path):
        before = config.load(path)
        if domain not in before.domains:
            raise ConfigError(str(path), f"there is no domain {domain}", "notqmail domain list")
        kept = read_text(path).rstrip("\n").split("\n")
        for start, end in _blocks(kept):
            if _name(kept[start:end]) == domain:
                del kept[start : end + _empty_after(kept, start, end)]
                break
        _replace(path, kept, before, [d for d in before.domains if d != domain])


def _blocks(kept: list[str]) -> list[tuple[int, int]]:
    """Give first and end line of each block; comments before the next header belong to that one."""
    found = []
    for start, line in enumerate(kept):
        if _DOMAIN.match(line):
            end = start + 1
            while end < len(kept) and (not _HEADER.match(kept[end]) or _PART.match(kept[end])):
                end += 1
            while not kept[end - 1].strip() or kept[end - 1].lstrip().startswith("#"):
                end -= 1
            found.append((start, end))
    return found


def _empty_after(kept: list[str], start: int, end: int) -> int:
    """Count the empty lines that set a block apart, when there is one before it too."""
    if start and kept[start - 1].strip():
        return 0
    return sum(1 for _ in takewhile(lambda line: not line.strip(), kept[end:]))


def _name(block: list[str]) -> str:
    for line in block:
        if _NAME.match(line):
            return canonical_domain(str(tomllib.loads(line)["name"]))
    return ""


def _replace(path: Path, kept: list[str], before: Config, domains: list[str]) -> None:
    text = "\n".join(kept).rstrip("\n") + "\n"
    try:
        after = config.parse(tomllib.loads(text), path)
        same = msgspec.structs.replace(after, domain=before.domain) == before
    except (ConfigError, tomllib.TOMLDecodeError):
        same = False
    if not same or sorted(after.domains) != sorted(domains):
        raise ConfigError(str(path), "its domains cannot be edited safely", "edit the file by hand")
    replace_text(path, text)
