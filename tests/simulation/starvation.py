"""A look at the queue from time to time: does anything wait that could be tried?

An entry waits rightly while it is not due, while its pool has no slot or memory no room, and while its destination is
being tried. Whatever else is long due has been forgotten.
"""

import asyncio
from collections.abc import Mapping, Sequence

from notqmail.mail.entry import QueueFilter, QueueRow
from notqmail.mail.errors import NotqmailError
from tests.simulation.ledger import Ledger
from tests.simulation.program import Program

EVERY = 1800.0  # seconds between two looks
LATE = 60.0  # seconds after which what is due should have begun
LOCAL = "local"


class Watchman:
    """Looks at the queue of `program`. `groups` are the domains that may be one destination."""

    def __init__(self, program: Program, ledger: Ledger, groups: Mapping[str, str]) -> None:
        self._program, self._ledger, self._groups = program, ledger, groups
        self.one_group = False  # domains have moved: any of them may be one destination

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self._look()
            except (NotqmailError, OSError):
                continue  # it died over it, or its disk is not well

    async def _look(self) -> None:
        server = self._program.server
        now = asyncio.get_running_loop().time()
        if server is None or server.manager is None or self._disturbed(now):
            return
        rows = await server.store.find(QueueFilter())
        if self._program.server is not server or self._disturbed(now):
            return
        for row in self._forgotten(rows):
            self._ledger.complaints.append(
                f"starved: {row.id} for {row.recipient} was due {self._overdue(row):.0f} s before {now:.0f}"
            )

    def _disturbed(self, now: float) -> bool:
        """A quarter of an hour after any trouble everything is as it was; trouble with the disk may go on."""
        return self._program.troubles > 0 or any(
            begin <= now <= end + 900 for begin, end in self._ledger.disturbances
        )

    def _overdue(self, row: QueueRow) -> float:
        return self._program.world.clock.now() - row.due

    def _forgotten(self, rows: Sequence[QueueRow]) -> Sequence[QueueRow]:
        assert self._program.server is not None
        assert self._program.server.manager is not None
        at_work = self._program.server.manager.statistics
        queue = self._program.config.queue
        if at_work.active >= queue.active // 2 or at_work.remote >= queue.remote_concurrency:
            return []
        busy = {self._group(row) for row in rows if row.state == "active"}
        return [
            row
            for row in rows
            if row.state == "due" and self._overdue(row) > LATE and self._group(row) not in busy
        ]

    def _group(self, row: QueueRow) -> str:
        domain = row.recipient.rpartition("@")[2]
        known = self._groups.get(domain)
        if known is None:
            return row.destination
        return "anywhere" if self.one_group else known
