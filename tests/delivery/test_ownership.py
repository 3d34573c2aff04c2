import grp
import os
import pwd

import pytest

from notqmail.config import Mailbox
from notqmail.delivery.ownership import KEEP, Ownership, check_ownership, current_ids
from notqmail.mail.errors import ConfigError

NOBODY = pwd.getpwnam("nobody")
MAIL = grp.getgrnam("mail")


def test_nothing_configured_keeps_what_the_server_makes() -> None:
    owner = Ownership.of(Mailbox())

    assert owner == Ownership(KEEP, KEEP, 0o700, 0o600)
    assert not owner.given


def test_owner_brings_its_own_group() -> None:
    owner = Ownership.of(Mailbox(owner="nobody", directory_mode="750", file_mode="0640"))

    assert owner == Ownership(NOBODY.pw_uid, NOBODY.pw_gid, 0o750, 0o640)
    assert owner.given


def test_group_may_be_another_one() -> None:
    assert Ownership.of(Mailbox(group="mail")) == Ownership(KEEP, MAIL.gr_gid)


@pytest.mark.parametrize("key", ["owner", "group"])
def test_unknown_name_is_told_with_its_key(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Ownership.of(Mailbox(**{key: "no-such-name"}))

    assert caught.value.where == f"mailbox.{key}"
    assert caught.value.remedy


def test_root_may_give_files_to_anybody() -> None:
    check_ownership(Mailbox(owner="nobody", group="mail"), 0, ())


@pytest.mark.parametrize(
    ("mailbox", "groups"),
    [
        (Mailbox(), ()),
        (Mailbox(owner="nobody"), (NOBODY.pw_gid,)),
        (Mailbox(group="mail"), (MAIL.gr_gid,)),
    ],
)
def test_user_may_have_maildirs_of_its_own(mailbox: Mailbox, groups: tuple[int, ...]) -> None:
    check_ownership(mailbox, NOBODY.pw_uid, groups)


@pytest.mark.parametrize(
    ("mailbox", "where", "remedy"),
    [
        (Mailbox(owner="daemon"), "mailbox.owner", 'set user = "daemon"'),
        (Mailbox(group="mail"), "mailbox.group", "usermod -aG mail nobody"),
        (Mailbox(owner="nobody"), "mailbox.owner", f"usermod -aG {NOBODY.pw_gid} nobody"),
    ],
)
def test_user_that_could_not_give_files_away_is_told_what_to_do(
    mailbox: Mailbox, where: str, remedy: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_ownership(mailbox, NOBODY.pw_uid, ())

    assert caught.value.where == where
    assert remedy in caught.value.remedy


def test_user_without_a_name_is_told_by_number() -> None:
    with pytest.raises(ConfigError, match="runs as 54321"):
        check_ownership(Mailbox(owner="daemon"), 54321, ())


def test_current_ids_are_those_of_this_process() -> None:
    uid, groups = current_ids()

    assert uid == os.geteuid()
    assert os.getegid() in groups
