"""The whole file."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from notqmail.config.auth import Auth, Submission
from notqmail.config.listen import Listen
from notqmail.config.local import Dns, Local, Log, Web
from notqmail.config.outbound import Outbound
from notqmail.config.quantity import Section
from notqmail.config.queue import JournalSection, Mailbox, Queue
from notqmail.config.tls import Tls
from notqmail.mail.address import Address
from notqmail.mail.idn import canonical_domain


class Domain(Section, frozen=True):
    """A domain whose mail ends here."""

    name: Annotated[str, Meta(description="the domain, as U-labels or A-labels")]


class Addressing(Section, frozen=True):
    """How a local part finds its mailbox."""

    separator: Annotated[
        str, Meta(max_length=1, description='alice+tag goes to alice; "" switches it off')
    ] = "+"


class Config(Section, frozen=True):
    """The whole file. `path` names it; the other paths are absolute after `load`."""

    hostname: Annotated[
        str, Meta(description="our name in HELO, banner and trace: a fully qualified domain name")
    ]
    data_dir: Annotated[
        str, Meta(description="queue, journal and mailboxes; relative to this file")
    ] = "data"
    users: Annotated[
        str, Meta(description="text file of mailboxes and their passwords; relative to this file")
    ] = "users"
    aliases: Annotated[str, Meta(description="text file of aliases; relative to this file")] = (
        "aliases"
    )
    user: Annotated[
        str, Meta(description="started as root, become this user after the ports are bound")
    ] = ""
    group: Annotated[str, Meta(description="and this group; empty: the user's")] = ""
    postmaster: Annotated[
        str,
        Meta(
            description="where postmaster and abuse of every domain go without an entry of their own, and double bounces"
        ),
    ] = ""
    listen: tuple[Listen, ...] = ()
    tls: Tls = Tls()
    auth: Auth = Auth()
    submission: Submission = Submission()
    domain: tuple[Domain, ...] = ()
    addressing: Addressing = Addressing()
    mailbox: Mailbox = Mailbox()
    queue: Queue = Queue()
    outbound: Outbound = Outbound()
    dns: Dns = Dns()
    web: Web = Web()
    local: Local = Local()
    journal: JournalSection = JournalSection()
    log: Log = Log()
    path: str = ""

    @property
    def data(self) -> Path:
        return Path(self.data_dir)

    @property
    def postmaster_address(self) -> Address | None:
        return Address.parse(self.postmaster) if self.postmaster else None

    @property
    def domains(self) -> tuple[str, ...]:
        """The local domains as A-labels, in the order of the file."""
        return tuple(canonical_domain(d.name) for d in self.domain)
