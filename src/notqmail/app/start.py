"""The process: limits raised, ports bound, data handed over, user become; then the event loop."""

import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import uvloop

from notqmail import log
from notqmail.app.machine import Machine
from notqmail.app.server import Server
from notqmail.config import Config, load
from notqmail.mail.errors import ConfigError, NotqmailError
from notqmail.smtpd.listener import bind
from notqmail.system import privileges
from notqmail.system.signals import Signals
from notqmail.system.systemd import Notifier, take_sockets

_log = logging.getLogger("notqmail.app")


async def _run(
    config: Config, machine: Machine, sockets: Mapping[str, Sequence[socket.socket]]
) -> None:
    notifier, loop = Notifier.of(), asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()
    server = Server(config, machine)

    async def reload() -> None:
        notifier.reloading()
        try:
            await server.reload()
        except NotqmailError as error:
            _log.error("not reloaded, the old configuration stays error=%r", str(error))
        notifier.ready()

    def on_reload() -> None:
        task = loop.create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    with Signals(on_reload, server.hurry) as signals:
        await server.start(sockets)
        # what lives as long as the server is not worth looking at for garbage again and again
        gc.collect()
        gc.freeze()
        sys.stderr.write("READY\n")  # one write: log lines come from another thread
        sys.stderr.flush()
        notifier.ready("serving")
        await signals.stop.wait()
        notifier.stopping()
        _log.info("stopping")
        await server.stop()


def bind_all(config: Config) -> Mapping[str, Sequence[socket.socket]]:
    """Bind the ports of every listener, but those that systemd has bound for it (a socket unit with the listener's
    name as FileDescriptorName). Raise ConfigError, and none is bound then."""
    bound: dict[str, list[socket.socket]] = {}
    for name, passed in take_sockets():
        bound.setdefault(name, []).append(passed)
    try:
        for index, listen in enumerate(config.listen):
            if listen.name not in bound:
                bound[listen.name] = bind(listen.bind, f"{config.path}: listen[{index}].bind")
    except ConfigError:
        for sock in (sock for sockets in bound.values() for sock in sockets):
            sock.close()
        raise
    return bound


def serve(path: Path) -> int:
    """Serve until told to stop; the exit status. Raises NotqmailError when it cannot start."""
    config = load(path)
    who = privileges.identity(config)
    privileges.raise_open_files()
    sockets = bind_all(config)
    _make_data_directory(config)
    machine = Machine()
    machine.prepare(config)
    if who is not None:
        privileges.hand_over(config.data, who)
        for named in _read_by_the_user(config):
            privileges.let_read(Path(named), who)
        privileges.become(who)
        privileges.check_python(who)
    else:
        privileges.harden()
    sys.unraisablehook = _tell_unraisable
    output = log.setup(config.log.level, config.log.json, config.log.backlog)
    if who is None and os.geteuid() == 0:
        _log.warning("running as root, on loopback only: set `user` before others can reach it")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(config, machine, sockets))
    finally:
        output.stop()
    return 0


def _read_by_the_user(config: Config) -> Sequence[str]:
    """The files that are read again while the server runs."""
    logins = [config.outbound.login, *(table.login for table in config.outbound.to)]
    passwords = [login.password_file for login in logins if login.password_file]
    auth, submission = config.auth, config.submission
    return [config.users, config.aliases, auth.app_passwords, submission.senders, *passwords]


def _tell_unraisable(what: "sys.UnraisableHookArgs") -> None:
    """Say in a line what would print a traceback: a server name that is not ASCII is refused inside the interpreter,
    and strangers choose it."""
    log.event(_log, "unraisable", level=logging.DEBUG, error=repr(what.exc_value)[:200])


def _make_data_directory(config: Config) -> None:
    try:
        # others must reach the injection socket and the drop directory in it, and nothing else
        config.data.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{config.path}: data_dir", f"cannot be made: {error.strerror}", "choose another place"
        ) from None
