"""`notqmail serve`."""

from pathlib import Path

from notqmail.app import start
from notqmail.cli.command import command


@command(example="notqmail serve -c /etc/notqmail/notqmail.toml")
def serve(config: Path) -> int:
    """Run the server, in the foreground.

    READY appears on stderr when all listeners accept. Started as root it binds its ports, then becomes the configured
    `user` for good. SIGTERM and SIGINT stop it: no new sessions, what is in flight ends. SIGHUP does what
    `notqmail reload` does.
    """
    return start.serve(config)
