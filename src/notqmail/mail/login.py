"""Who has logged in, and what a source of accounts tells about who tries to."""

from dataclasses import dataclass, field

from notqmail.mail.address import Address


@dataclass(frozen=True, slots=True)
class Login:
    """An account that has proved who it is. `account` is its name as its source writes it, `address` its mailbox
    (None for a system user without one here); `label` names the app password that was used, "" for the main one.
    `only_from` is the one address that app password may send as; None is no such limit."""

    account: str
    address: Address | None = None
    mechanism: str = ""
    label: str = ""
    only_from: Address | None = None

    @property
    def key(self) -> str:
        """By what an account is counted and held: one name, however it was spelled at the login."""
        address = self.address
        return self.account if address is None else f"{address.fold}@{address.domain}"

    def __str__(self) -> str:
        return self.account


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who tries to log in: the client's address and ours as text, the kind of the listener."""

    address: str
    local_address: str = ""
    kind: str = "submission"


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a SCRAM server keeps of one password (RFC 5802 §3), and whom it proves."""

    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)
    login: Login


@dataclass(frozen=True, slots=True)
class ScramAccount:
    """The passwords of one account, main and app ones, with the salt and the iterations that they share."""

    salt: bytes
    iterations: int
    keys: tuple[ScramKeys, ...]
