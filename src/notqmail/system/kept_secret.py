"""A secret of this server that survives a restart: random octets in a file that nobody else reads."""

import re
import secrets
from pathlib import Path

from notqmail.mail.errors import ConfigError
from notqmail.system.accounts import read_text
from notqmail.system.replace import editing, replace_text

SASL = "sasl-secret"  # in the data directory: what the salts of names that nobody has are made of
_SIZE = 32


def kept_secret(path: Path) -> bytes:
    """Give the secret in a file, made when it is not there. Raises ConfigError."""
    with editing(path):
        if not path.exists():
            replace_text(path, secrets.token_hex(_SIZE) + "\n")
        kept = read_text(path).strip()
    if re.fullmatch(rf"[0-9a-f]{{{2 * _SIZE}}}", kept) is None:
        raise ConfigError(str(path), "not a secret of ours", "delete it; another is made")
    return bytes.fromhex(kept)
