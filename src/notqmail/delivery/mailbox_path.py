"""Where a mailbox is and what a message in it is called: pure functions from addresses to names.

No octet of an address can leave its path component: what is not `a-z 0-9 + _ . -` is percent-encoded, a leading dot
too, so neither `/` nor `..` nor a hidden name can be made. The encoding is one to one, so two mailboxes never share
a directory.
"""

import hashlib
import re
from itertools import takewhile
from pathlib import Path, PurePosixPath

from notqmail.mail.address import Address

SUBDIRECTORIES = ("tmp", "new", "cur")
_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789+_.-")
_COMPONENT = re.compile(r"[a-z0-9+_-][a-z0-9+_.-]*")
_EMPTY = "%"  # a percent sign alone is nothing's encoding
_NOT_FOLDER = re.compile(r"[^A-Za-z0-9 _-]")
MAX_FOLDER = 100  # characters of a folder's name
MAX_HOST = (
    64  # characters of the host in a file name, as in qmail; the rest would push it over 255 octets
)


def component(text: str) -> str:
    """Encode a folded local part or a domain as one path component."""
    if _COMPONENT.fullmatch(text):
        return text
    encoded = "".join(chr(o) if o in _SAFE else f"%{o:02X}" for o in text.encode())
    return f"%2E{encoded[1:]}" if encoded.startswith(".") else encoded or _EMPTY


def mailbox_path(template: str, mailbox: Address) -> str:
    """Fill `{domain}` and `{user}` of `config.Mailbox.path` in."""
    return template.replace("{domain}", component(mailbox.domain.lower())).replace(
        "{user}", component(mailbox.fold)
    )


def tree_root(root: Path, template: str) -> str:
    """Give the directory that must be there already: the data directory, or what an absolute `config.Mailbox.path`
    names before its first variable part."""
    path = PurePosixPath(template)
    if not path.is_absolute():
        return str(root)
    return str(PurePosixPath(*takewhile(lambda part: "{" not in part, path.parts)))


def folder_directory(folder: str) -> str:
    """Give the directory of a folder inside a Maildir in the manner of Maildir++: `.Junk`, `.Lists.Python`.

    "" (and INBOX) is the Maildir itself. What Maildir++ or a file system could misread becomes `_`.
    """
    levels = [_NOT_FOLDER.sub("_", level).strip() for level in folder[:MAX_FOLDER].split(".")]
    name = ".".join(level for level in levels if level)
    return f".{name}" if name and name.upper() != "INBOX" else ""


def escape_host(hostname: str) -> str:
    """Make a host name fit for a Maildir file name: `/` and `:` in octal (Maildir's own convention)."""
    return hostname[:MAX_HOST].replace("/", "\\057").replace(":", "\\072")


def file_name(born: float, id: str, recipient: Address, host: str) -> str:
    """Name a message in its Maildir: the same queue id and recipient give the same name, always.

    So a delivery repeated after a crash replaces or finds its first try. `host` comes from `escape_host`.
    """
    who = hashlib.blake2b(str(recipient).encode(), digest_size=6).hexdigest()
    return f"{int(born)}.Q{id}R{who}.{host}"
