"""What a server takes from outside, as a Protocol: time, chance, disk, network, and doors for programs."""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Protocol

from notqmail.app.doors import Gatekeeper
from notqmail.config import Config
from notqmail.policy.login_guard import LoginGuard
from notqmail.ports import Clock, Directory, Journal, Random, Sending, Store, Transport
from notqmail.smtpd.channel import ServerTls

if TYPE_CHECKING:
    from notqmail.app.server import Server

Later = Callable[..., object]
"""AsyncExitStack.push_async_callback: what was opened last is closed first when the server stops."""


class WatchedStore(Store, Protocol):
    """A store that knows how it is."""

    @property
    def trouble(self) -> str:
        """Why it takes no mail at the moment; empty when it does."""


class WatchedJournal(Journal, Protocol):
    """A journal that counts what it could not keep."""

    @property
    def dropped(self) -> int: ...


class WatchedTls(ServerTls, Protocol):
    """Certificates that are renewed."""

    def adopt(self, settings: Config, /) -> bool:
        """Take over a configuration; raises ConfigError, and everything stays as it was. Blocks."""

    async def watch(self) -> None:
        """Look for renewed files, for good."""


class World(Protocol):
    """`machine.Machine` is the real one."""

    @property
    def clock(self) -> Clock: ...

    @property
    def random(self) -> Random:
        """For the order of MX hosts and the uniqueness of ids; no secret is made from it."""

    def is_ours(self, address: IPv4Address | IPv6Address, /) -> bool:
        """Say whether a packet to `address` would come to this machine."""

    def directory(self, config: Config) -> Directory:
        """Read who lives here. Raises ConfigError."""

    def tls(self, config: Config) -> "WatchedTls | None":
        """Our certificates; None when none is named. Raises ConfigError."""

    async def gatekeeper(
        self,
        config: Config,
        guard: LoginGuard,
        directory: Callable[[], Directory],
        later: Later,
    ) -> Gatekeeper | None:
        """Open the sources of accounts; `directory` gives the one in force. None where nobody logs in.
        Raises ConfigError."""

    def journal(self, config: Config) -> WatchedJournal: ...

    def sending(self, config: Config) -> Sending:
        """What accounts have sent, remembered from the last run."""

    async def store(self, config: Config) -> WatchedStore:
        """Open the queue. Raises ConfigError when another server uses it, and SpoolError."""

    async def transports(self, config: Config, later: Later) -> Mapping[str, Transport]:
        """The ways out, by the name that hops have for them. Raises ConfigError."""

    async def adopt(self, config: Config) -> None:
        """Let the ways out take over a changed configuration. Raises ConfigError, and they stay as they were."""

    def open_files(self) -> int:
        """The limit of open files in force."""

    async def doors(self, server: "Server", later: Later) -> None:
        """Open what programs of this machine use: control, injection, metrics. Raises ConfigError."""
