"""Makes config/notqmail.toml and docs/reference/ from the code; `--check` compares instead of writing."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from msgspec import NODEFAULT

from notqmail.cli import group, sendmail
from notqmail.cli.sample import Table, describe, literal, render

ROOT = Path(__file__).resolve().parent.parent

EXAMPLE: dict[str, Any] = {
    "hostname": "mx.example.org",
    "user": "notqmail",
    "postmaster": "alice@example.org",
    "listen": [
        {"name": "mx", "kind": "mx", "bind": ["0.0.0.0:25", "[::]:25"]},
        {"name": "submissions", "kind": "submissions", "bind": ["0.0.0.0:465", "[::]:465"]},
        {"name": "submission", "kind": "submission", "bind": ["0.0.0.0:587", "[::]:587"]},
    ],
    "tls": {
        "certificate": [
            {
                "chain": "/etc/letsencrypt/live/{name}/fullchain.pem",
                "key": "/etc/letsencrypt/live/{name}/privkey.pem",
            }
        ]
    },
    "domain": [{"name": "example.org"}],
    "outbound": {"to": [{"name": "strict", "domains": ["example.net"], "tls": "verify"}]},
    "web": {"bind": ["127.0.0.1:8025"]},
}

MADE = "<!-- made by scripts/reference; edit the code it comes from -->\n"


def configuration() -> Iterator[str]:
    """The keys of the configuration, a table for each table."""
    yield f"{MADE}\n# Configuration\n\n"
    yield (
        "One TOML file; `notqmail check` checks it, `notqmail reload` applies it. A span is written `90s`, `5m`, `4h`, "
        "`7d`, a size `64KB`, `50MB` (powers of 1024). An unknown key is an error that names the nearest known one. "
        "All keys in one file, with comments: [config/notqmail.toml](../../config/notqmail.toml).\n"
    )
    yield from _sections(describe(), "")


def _sections(table: Table, path: str) -> Iterator[str]:
    title = (f"`[[{path}]]`" if table.array else f"`[{path}]`") if path else "At the top"
    several = " May stand several times." if table.array else ""
    about = "" if not path else f"{table.about}{several}\n\n"
    yield f"\n## {title}\n\n{about}| key | default | meaning |\n|---|---|---|\n"
    for key in table.keys:
        default = "required" if key.default is NODEFAULT else f"`{literal(key.default)}`"
        yield f"| `{key.name}` | {default} | {key.about.replace('|', chr(92) + '|')} |\n"
    for inner in table.tables:
        yield from _sections(inner, f"{path}.{inner.name}" if path else inner.name)


def commands() -> Iterator[str]:
    """The help of every command."""
    yield f"{MADE}\n# Commands\n\n"
    yield (
        "Every command ends with status 0 (ok), 1 (the answer is no) or 2 (usage, or the environment does not allow it), "
        "and says what is wrong on stderr in one sentence. `--json` prints one JSON object per line.\n"
    )
    yield from _helps(group, click.Context(group, info_name="notqmail", terminal_width=100))
    yield f"\n## sendmail\n\nIts exit statuses are those of sysexits.h.\n\n```text\n{sendmail.USAGE}```\n"


def _helps(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"\n## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _helps(
                inner, click.Context(inner, info_name=name, parent=context, terminal_width=100)
            )


def made() -> dict[Path, str]:
    """Every file that is made, and its text."""
    reference = ROOT / "docs" / "reference"
    return {
        ROOT / "config" / "notqmail.toml": render(EXAMPLE),
        reference / "configuration.md": "".join(configuration()),
        reference / "commands.md": "".join(commands()),
    }


def main() -> int:
    """Write, or with `--check` compare; 1 when something is not up to date."""
    status = 0
    for path, text in made().items():
        if path.exists() and path.read_text("utf-8") == text:
            continue
        if sys.argv[1:] == ["--check"]:
            print(f"{path.relative_to(ROOT)} is not up to date; run scripts/reference")
            status = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return status


if __name__ == "__main__":
    sys.exit(main())
