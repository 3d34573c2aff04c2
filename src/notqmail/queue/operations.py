"""What people do with the queue: the same operations over the control socket and on a store opened by hand.

`table` has them by name. Each takes a mapping of arguments and gives what JSON can hold, or octets; a NotqmailError
is for the person who asked. Filters have the fields of QueueFilter: `id`, `sender` ("" is the null sender),
`recipient`, `domain`, `older` (seconds), `held`, `login`. What acts on more than it shows needs a filter, or `all`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Literal, Protocol

import msgspec

from notqmail.journal import operation_record
from notqmail.mail.address import Address
from notqmail.mail.entry import QueueFilter, QueueRow, Routed
from notqmail.mail.envelope import Notify
from notqmail.mail.errors import NotqmailError
from notqmail.ports import Clock, Journal, Store
from notqmail.queue.resolution import Resolution

Arguments = Mapping[str, Any]
Operation = Callable[[Arguments], Awaitable[Any]]
Action = Literal["hold", "release", "retry", "delete"]

MAX_ROWS = 100_000  # recipients in one answer
SHOWN = 1000  # recipients in one answer unless asked otherwise
_FILTER = frozenset(field.name for field in fields(QueueFilter))


class OperationError(NotqmailError):
    """What was asked for cannot be done; the text is one sentence for who asked."""


class Resolves(Protocol):
    """What is needed of a Router."""

    def resolve(self, address: Address, sender: Address | None = None) -> Resolution: ...


class Works(Protocol):
    """What is needed of the Manager."""

    def nudge(self) -> None: ...
    async def let_go(self, ids: frozenset[str]) -> None: ...


class Operations:
    """`manager` None: nobody is at work on this store."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        router: Resolves,
        clock: Clock,
        *,
        manager: Works | None = None,
    ) -> None:
        self._store, self._journal, self._router = store, journal, router
        self._clock, self._manager = clock, manager

    @property
    def table(self) -> Mapping[str, Operation]:
        """The operations by name, for the control socket."""
        return {
            "queue_list": self.queue_list,
            "queue_show": self.queue_show,
            "queue_cat": self.queue_cat,
            "queue_counts": self.queue_counts,
            **{f"queue_{action}": self._action(action) for action in _ACTIONS},
            "why": self.why,
            "resolve": self.resolve,
        }

    async def queue_list(self, args: Arguments) -> list[dict[str, Any]]:
        """Give one row for each recipient that matches; `limit` rows at most."""
        which, rest = _filter(args, "limit")
        limit = _number(rest.get("limit", SHOWN), "limit")
        return _rows(await self._store.find(which, min(limit, MAX_ROWS)))

    async def queue_show(self, args: Arguments) -> dict[str, Any]:
        """Give all that is known of the message `id`: envelope, recipients, header edits."""
        id = text(args, "id")
        routed = await self._open(id)
        rows = await self._store.find(QueueFilter(id=id), MAX_ROWS)
        return {**_envelope(routed), "recipients": _recipients(routed, rows)}

    async def queue_cat(self, args: Arguments) -> AsyncIterator[bytes]:
        """Give the message `id` as it will be delivered, in pieces."""
        return _pieces(await self._open(text(args, "id")))

    async def queue_counts(self, args: Arguments) -> dict[str, int]:
        """Give how many recipients are in each state."""
        _filter(args)
        return dict(await self._store.counts())

    async def edit(
        self, action: Action, args: Arguments, by: str = "command line"
    ) -> dict[str, Any]:
        """Hold, release, retry or delete what matches, as `by` wants it. `done` are the rows it was done to, `busy` those that are
        being delivered at this moment and were left alone."""
        which, rest = _filter(args, "all")
        if which == QueueFilter() and rest.get("all") is not True:
            raise OperationError(f"nothing says which messages to {action}; name an id or a filter")
        await self._free(which)
        rows = await self._store.edit(which, action, self._clock.now())
        if self._manager is not None:
            self._manager.nudge()
        done = [row for row in rows if row.state != "active"]
        busy = [row for row in rows if row.state == "active"]
        if done:
            ids = list(dict.fromkeys(row.id for row in done))
            self._journal.write(operation_record(self._clock.now(), action, by, ids))
        return {"done": _rows(done), "busy": _rows(busy)}

    async def why(self, args: Arguments) -> list[Mapping[str, Any]]:
        """Give the journal's records of `ref`: a queue id, a reference, a Message-ID, an address, an IP address."""
        limit = _number(args.get("limit", 50), "limit")
        return list(await self._journal.find(text(args, "ref"), limit))

    async def resolve(self, args: Arguments) -> dict[str, Any]:
        """Give where mail for `address` goes, from `sender` or nobody, as a tree."""
        address = Address.parse(text(args, "address"))
        sender = Address.parse(text(args, "sender")) if args.get("sender") else None
        return self._router.resolve(address, sender).plain()

    def _action(self, action: Action) -> Operation:
        async def act(args: Arguments) -> dict[str, Any]:
            return await self.edit(action, args)

        return act

    async def _free(self, which: QueueFilter) -> None:
        """Have the manager give back what only waits in its memory."""
        if self._manager is None:
            return
        rows = await self._store.find(which, MAX_ROWS)
        active = frozenset(row.id for row in rows if row.state == "active")
        if active:
            await self._manager.let_go(active)

    async def _open(self, id: str) -> Routed:
        routed = await self._store.open(id)
        if routed is None:
            raise OperationError(
                f"no message {id!r} is in the queue; `why` may know what became of it"
            )
        return routed


_ACTIONS: tuple[Action, ...] = ("hold", "release", "retry", "delete")


def _filter(args: Arguments, *others: str) -> tuple[QueueFilter, Arguments]:
    """Read a filter out of arguments; raise OperationError for what is none."""
    for name in args:
        if name not in _FILTER and name not in others:
            raise OperationError(f"unknown argument {name[:40]!r}")
    given = {name: args[name] for name in args if name in _FILTER}
    try:
        which = msgspec.convert(given, QueueFilter)
    except msgspec.ValidationError as error:
        raise OperationError(f"not a filter: {error}") from None
    return which, {name: args[name] for name in others if name in args}


def text(args: Arguments, name: str) -> str:
    """Give an argument that must be there; raise OperationError."""
    value = args.get(name)
    if not isinstance(value, str) or not value:
        raise OperationError(f"the argument {name!r} is missing")
    return value


def _number(value: object, name: str) -> int:
    if not isinstance(value, int) or value < 1:
        raise OperationError(f"{name!r} is not a number above 0")
    return value


def _rows(rows: Sequence[QueueRow]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]


def _envelope(routed: Routed) -> dict[str, Any]:
    envelope = routed.message.envelope
    return {
        "id": routed.id,
        "sender": str(envelope.sender) if envelope.sender is not None else "",
        "login": routed.login,
        "born": routed.born,
        "size": routed.message.size,
        "envid": envelope.envid,
        "ret": envelope.ret.value if envelope.ret is not None else None,
        "smtputf8": envelope.smtputf8,
        "body": envelope.body.value if envelope.body is not None else None,
    }


def _recipients(routed: Routed, rows: Sequence[QueueRow]) -> list[dict[str, Any]]:
    """Each pending recipient with what its row says of it."""
    said = {(row.recipient, row.destination): row for row in rows}
    found = []
    for recipient, hop in zip(routed.message.envelope.recipients, routed.hops, strict=True):
        record: dict[str, Any] = {
            "recipient": str(recipient.address),
            "destination": hop.destination,
            "notify": _notify(recipient.notify),
            "orcpt": recipient.orcpt,
        }
        row = said.get((record["recipient"], record["destination"]))
        if row is not None:
            record |= {
                "state": row.state,
                "due": row.due,
                "attempts": row.attempts,
                "last_reply": row.last_reply,
            }
        if recipient in routed.message.marks:
            record["folder"] = routed.message.marks[recipient].folder
        found.append(record)
    return found


def _notify(notify: Notify | None) -> str | None:
    """Write NOTIFY as on the wire; None when it was not given."""
    if notify is None:
        return None
    return ",".join(event.name or "" for event in notify) or "NEVER"


async def _pieces(routed: Routed) -> AsyncIterator[bytes]:
    async for chunk in routed.message.chunks():
        yield chunk
