"""xtext (RFC 3461 §4) and the address forms of RFC 6533 §3: how odd characters stand in a parameter's value.

ORCPT is held decoded, as `type;address`. In the type "utf-8" characters are escaped as `\\x{HEX}` instead of `+HH`,
and what SMTPUTF8 allows on the wire may also stand for itself (utf-8-addr-unitext).
"""

import re

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
_HEXOCTET = re.compile(rb"\+([0-9A-F]{2})")
_NOT_XCHAR = re.compile(r"[^!-*,-<>-~]")
_GRAPHIC = re.compile(r"[ -~]*")
_ADDR_TYPE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")  # atom, RFC 5322 §3.2.3
# QUCHAR and EmbeddedUnicodeChar, RFC 6533 §3; HEXPOINT of ASCII only where the plain character may not stand
_UNITEXT = re.compile(
    r"(?:[!-*,-<>-\[\]-~\u00a0-\ud7ff\ue000-\U0010ffff]|\\x\{(?:20|2B|3D|5C|[A-F][0-9A-F]|[1-9A-F][0-9A-F]{2,5})\})+"
)
_EMBEDDED = re.compile(r"\\x\{([0-9A-F]+)\}")
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")
_NOT_QUCHAR = re.compile(r"[^!-*,-<>-\[\]-~\u00a0-\ud7ff\ue000-\U0010ffff]")


def decode_xtext(text: str) -> str:
    """Decode xtext whose meaning is printable US-ASCII, spaces included; raise ValueError outside it."""
    if _XTEXT.fullmatch(text) is None:
        raise ValueError("not xtext")
    if "+" in text:
        text = _HEXCHAR.sub(lambda hexchar: chr(int(hexchar[1], 16)), text)
        if _GRAPHIC.fullmatch(text) is None:
            raise ValueError("xtext of a character that does not print")
    return text


def decode_xtext_utf8(text: str) -> str:
    """Decode xtext whose octets are UTF-8 of printable characters; raise ValueError outside it."""
    if _XTEXT.fullmatch(text) is None:
        raise ValueError("not xtext")
    decoded = _octets(text).decode()
    if not decoded.isprintable():
        raise ValueError("xtext of a character that does not print")
    return decoded


def encode_xtext(text: str) -> str:
    """Encode printable US-ASCII as xtext; raise ValueError for anything else."""
    if _GRAPHIC.fullmatch(text) is None:
        raise ValueError("only printable US-ASCII has an xtext form here")
    return _NOT_XCHAR.sub(lambda char: f"+{ord(char[0]):02X}", text)


def decode_orcpt(value: str) -> str:
    """Decode the value of ORCPT to `type;address`; raise ValueError outside RFC 3461 §4.2 and RFC 6533 §3."""
    kind, semicolon, address = value.partition(";")
    if not semicolon or not address or _ADDR_TYPE.fullmatch(kind) is None:
        raise ValueError("not type;address")
    if kind.lower() == "utf-8":
        return f"{kind};{_decode_unitext(address)}"
    if kind.lower() == "rfc822" and (beyond := _utf8_in_xtext(address)) is not None:
        return f"utf-8;{beyond}"
    return f"{kind};{decode_xtext(address)}"


def encode_orcpt(orcpt: str, *, smtputf8: bool) -> str:
    """Encode `type;address` for the wire: as utf-8-addr-unitext where SMTPUTF8 is in use, else in ASCII.
    Raises ValueError for what has no such form: a type other than utf-8 with characters beyond ASCII."""
    kind, _, address = orcpt.partition(";")
    if kind.lower() != "utf-8":
        return f"{kind};{encode_xtext(address)}"
    escaped = _NOT_QUCHAR if smtputf8 else _NOT_QCHAR
    return f"{kind};" + escaped.sub(lambda char: f"\\x{{{ord(char[0]):02X}}}", address)


def _utf8_in_xtext(text: str) -> str | None:
    """Read the UTF-8 of an internationalised address as xtext of its octets: no standard form, but what Postfix
    sends for every such recipient. None for what is plain ASCII or nothing of the kind."""
    if "+" not in text or _XTEXT.fullmatch(text) is None:
        return None
    try:
        decoded = _octets(text).decode()
    except UnicodeDecodeError:
        return None
    return decoded if not decoded.isascii() and decoded.isprintable() else None


def _octets(text: str) -> bytes:
    return _HEXOCTET.sub(lambda octet: bytes.fromhex(octet[1].decode()), text.encode())


def _decode_unitext(text: str) -> str:
    if _UNITEXT.fullmatch(text) is None:
        raise ValueError("not utf-8-addr-xtext or utf-8-addr-unitext")
    return _EMBEDDED.sub(_embedded, text) if "\\" in text else text


def _embedded(match: re.Match[str]) -> str:
    point = int(match[1], 16)
    if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
        raise ValueError("not a Unicode character")
    return chr(point)
