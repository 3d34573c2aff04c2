"""Room for sessions under the limit of open files.

A server whose clients have taken every descriptor can still talk and do nothing else: no message is stored, delivered
or journalled. So sessions are turned away while there are descriptors left for the rest.
"""

import resource

from notqmail.config import Config

OWN = 100  # databases, logs, threads' files, Maildirs of a batch, the web port


def open_files() -> int:
    """Give the limit in force."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def share(config: Config, limit: int) -> float:
    """Say which part of the configured connections of the listeners fits under `limit` open files, at most 1."""
    wanted = sum(listen.limits.connections for listen in config.listen)
    others = (
        OWN
        + config.queue.remote_concurrency
        + config.outbound.idle_connections
        + 2 * config.local.connections
    )
    return min(1.0, max(limit - others, limit // 4) / max(wanted, 1))
