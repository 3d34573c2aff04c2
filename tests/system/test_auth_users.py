import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from notqmail.auth import sasl
from notqmail.auth.sasl_client import client_exchange
from notqmail.config import Argon2, Size
from notqmail.mail.address import Address
from notqmail.mail.errors import AuthUnavailableError
from notqmail.mail.login import Attempt, Login
from notqmail.mail.network import parse_network
from notqmail.system import scram_text
from notqmail.system.accounts_text import Account
from notqmail.system.app_passwords_text import AppPassword, hash_of
from notqmail.system.auth_users import UserAccounts
from notqmail.system.gate import PoolGate
from notqmail.system.last_use import LastUse, read_last_use
from notqmail.system.passwords import make_secrets

CHEAP = Argon2(memory=Size(8 << 10), passes=1)
AT_HOME = Attempt("192.0.2.7")
ALICE, BOB, CAROL = (Address(name, "example.org") for name in ("alice", "bob", "carol"))
DAVE = Address("dave", "xn--bcher-kva.example")
PHONE, SCANNER = "aaaaa-bbbbb-ccccc-ddddd", "eeeee-fffff-ggggg-hhhhh"


class Work:
    """ports.Offload in a thread. `hashes` are the parameters of what was verified."""

    def __init__(self) -> None:
        self.hashes: list[str] = []

    async def run(self, function: Callable[..., Any], /, *args: Any) -> Any:
        if function.__name__ == "verify":
            self.hashes.append(args[1].rsplit("$", 2)[0])
        return await asyncio.to_thread(function, *args)


class Files:
    """auth_users.Table. alice has a password and two app passwords, bob only one of these, carol nothing, dave a
    password."""

    def __init__(self) -> None:
        made = make_secrets("pencil", CHEAP)
        like = scram_text.read(made.scram)
        assert like is not None
        self.accounts = {
            ALICE: Account(ALICE, made.argon2, made.scram),
            BOB: Account(BOB),
            CAROL: Account(CAROL),
            DAVE: Account(DAVE, make_secrets("I\u00adX", CHEAP).argon2),
        }
        self.app: dict[Address, Sequence[AppPassword]] = {
            ALICE: (
                app(ALICE, "phone", PHONE, like.salt),
                app(
                    ALICE,
                    "scanner",
                    SCANNER,
                    like.salt,
                    Address("scan", "example.org"),
                    (parse_network("192.0.2.0/24"),),
                ),
            ),
            BOB: (app(BOB, "phone", PHONE, b"salt of bob"),),
        }

    def account(self, local: str, domain: str) -> Account | None:
        return self.accounts.get(Address(local, domain))

    def app_passwords(self, local: str, domain: str) -> Sequence[AppPassword]:
        return self.app.get(Address(local, domain), ())


def app(address: Address, label: str, password: str, salt: bytes, *restricted: Any) -> AppPassword:
    return AppPassword(
        address,
        label,
        hash_of(password, salt),
        scram_text.make(password, salt, 4096),
        *restricted,
    )


class Site:
    def __init__(self, home: Path) -> None:
        self.work, self.files, self.used = Work(), Files(), home / "used"
        self.accounts = UserAccounts(
            self.files,
            "example.org",
            PoolGate(self.work, 1, 0, "passwords"),
            LastUse(self.used, self.work),
            CHEAP,
        )

    async def log_in(
        self, user: str, password: str, attempt: Attempt = AT_HOME
    ) -> tuple[str, str] | None:
        login = await self.accounts.password(user, password, attempt)
        return None if login is None else (login.account, login.label)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize(
    "user", ["alice@example.org", "ALICE@Example.ORG", "alice", "Alice"], ids=str
)
async def test_name_is_an_address_or_a_local_part_of_the_realm(site: Site, user: str) -> None:
    assert await site.log_in(user, "pencil") == ("alice@example.org", "")


@pytest.mark.parametrize("domain", ["bücher.example", "xn--bcher-kva.example", "BÜCHER.example"])
async def test_domain_is_of_either_form(site: Site, domain: str) -> None:
    assert await site.log_in(f"dave@{domain}", "IX") == (str(DAVE), "")


async def test_password_is_prepared_as_it_was_when_it_was_set(site: Site) -> None:
    assert await site.log_in(str(DAVE), "\u2168") is not None


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("alice@example.org", "pencils"),
        ("alice@example.net", "pencil"),
        ("nobody", "pencil"),
        ("", "pencil"),
        ("a b@c d", "pencil"),
        ("carol", "pencil"),
        ("bob", SCANNER),
        ("alice", "a\x07"),
        ("alice", "\u06271"),
        ("alice", "\ud800"),
        ("alice", ""),
    ],
)
async def test_what_is_wrong_proves_nothing(site: Site, user: str, password: str) -> None:
    assert await site.log_in(user, password) is None


async def test_app_password_says_which_it_is(site: Site) -> None:
    assert await site.log_in("alice", PHONE) == ("alice@example.org", "phone")
    assert await site.log_in("bob", PHONE) == ("bob@example.org", "phone")
    login = await site.accounts.password("alice", SCANNER, AT_HOME)
    assert login == Login(
        "alice@example.org", ALICE, label="scanner", only_from=Address("scan", "example.org")
    )


async def test_app_password_is_none_where_it_may_not_be_used(site: Site) -> None:
    elsewhere = Attempt("198.51.100.1")

    assert await site.log_in("alice", SCANNER, elsewhere) is None
    assert await site.log_in("alice", PHONE, elsewhere) is not None


@contextmanager
def hmacs() -> Iterator[list[str]]:
    """Note each HMAC that this thread computes."""
    found: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if (
            event == "call"
            and frame.f_code.co_name == "digest"
            and "hmac" in frame.f_code.co_filename
        ):
            found.append(event)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(before)


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("alice", "wrong"),  # a password and app passwords
        ("bob", "wrong"),  # app passwords only
        ("carol", "wrong"),  # no secret at all
        (str(DAVE), "wrong"),  # a password only
        ("nobody", "wrong"),
        ("not an address@", "wrong"),
        ("alice", "pencil"),  # and the right one
    ],
)
async def test_every_answer_costs_one_hmac_and_one_argon2(
    site: Site, user: str, password: str
) -> None:
    with hmacs() as computed:
        await site.log_in(user, password)

    assert len(computed) == 1
    assert site.work.hashes == ["$argon2id$v=19$m=8,t=1,p=1"]


async def test_right_app_password_needs_no_turn_at_the_gate(site: Site) -> None:
    assert await site.log_in("alice", PHONE) is not None
    assert site.work.hashes == []


async def test_too_many_at_once_are_told_to_come_again(site: Site) -> None:
    first = asyncio.create_task(site.log_in("alice", "pencil"))
    await asyncio.sleep(0)

    with pytest.raises(AuthUnavailableError):
        await site.log_in("alice", "pencil")
    assert await site.log_in("alice", PHONE) is not None
    assert await first is not None


async def scram(site: Site, user: str, password: str, attempt: Attempt = AT_HOME) -> sasl.Step:
    terms = sasl.Terms(
        site.accounts,
        attempt,
        ("SCRAM-SHA-256",),
        sasl.Decoy(b"decoy"),
        lambda: "ours",
        "example.org",
    )
    exchange = sasl.begin("SCRAM-SHA-256", terms)
    assert exchange is not None
    client = client_exchange("SCRAM-SHA-256", user, password, None, "theirs")
    step = await exchange.respond(client.respond(None))
    while isinstance(step, sasl.Challenge):
        step = await exchange.respond(client.respond(step.octets))
    return step


@pytest.mark.parametrize(
    ("user", "password", "label"),
    [("alice", "pencil", ""), ("alice", PHONE, "phone"), ("bob@example.org", PHONE, "phone")],
)
async def test_scram_knows_every_password(site: Site, user: str, password: str, label: str) -> None:
    step = await scram(site, user, password)

    assert isinstance(step, sasl.Success)
    assert step.login.label == label


@pytest.mark.parametrize(
    ("user", "password", "attempt"),
    [
        ("alice", "pencils", AT_HOME),
        ("alice", SCANNER, Attempt("198.51.100.1")),
        ("carol", "pencil", AT_HOME),
        ("dave@bücher.example", "IX", AT_HOME),  # has no SCRAM keys
        ("nobody", "pencil", AT_HOME),
    ],
)
async def test_scram_refuses_the_rest(
    site: Site, user: str, password: str, attempt: Attempt
) -> None:
    step = await scram(site, user, password, attempt)

    assert isinstance(step, sasl.Failure)
    assert step.reason is sasl.Reason.WRONG


async def test_scram_leaves_out_what_has_another_salt(site: Site) -> None:
    site.files.app[ALICE] = (app(ALICE, "old", PHONE, b"an older salt"),)

    assert isinstance(await scram(site, "alice", PHONE), sasl.Failure)
    assert isinstance(await scram(site, "alice", "pencil"), sasl.Success)
    assert await site.log_in("alice", PHONE) is not None


async def test_scram_is_with_sha_256_only(site: Site) -> None:
    assert await site.accounts.scram("SCRAM-SHA-1", "alice", AT_HOME) is None


@pytest.mark.parametrize(
    ("names", "user", "account"),
    [
        (("alice@example.org",), "", "alice@example.org"),
        (("x@example.org", "-", "Bob@EXAMPLE.org"), "", "bob@example.org"),
        (("alice@example.org", "bob@example.org"), "bob", "bob@example.org"),
        (("alice@example.org",), "bob", None),
        (("alice@example.org",), "@", None),
        (("x@example.org",), "", None),
        (("alice",), "alice", None),
        ((), "", None),
    ],
)
async def test_certificate_is_for_the_mailboxes_it_names(
    site: Site, names: tuple[str, ...], user: str, account: str | None
) -> None:
    login = await site.accounts.certificate(names, user, AT_HOME)

    assert (login.account if login else None) == account


async def test_last_use_of_an_app_password_is_kept(site: Site) -> None:
    phone = await site.accounts.password("alice", PHONE, AT_HOME)
    main = await site.accounts.password("alice", "pencil", AT_HOME)
    assert phone is not None
    assert main is not None

    for login in (main, phone, Login("system user", None, label="x")):
        await site.accounts.used(login, AT_HOME, 1000)
    await site.accounts.close()

    uses = await asyncio.to_thread(read_last_use, site.used)
    assert uses == {site.files.app[ALICE][0].id: 1000}
