"""Where mail rests: the queue, mailboxes, the journal."""

from typing import Annotated

from msgspec import Meta

from notqmail.config.quantity import Seconds, Section, Size


class Mailbox(Section, frozen=True):
    """Where virtual mailboxes are and whose they are."""

    path: Annotated[str, Meta(description="below data_dir; {domain} and {user} are filled in")] = (
        "mail/{domain}/{user}/Maildir"
    )
    owner: Annotated[
        str, Meta(description='user that owns the Maildirs, "" for whom the server runs as')
    ] = ""
    group: Annotated[str, Meta(description='group of the Maildirs, "" for the owner\'s')] = ""
    directory_mode: Annotated[
        str, Meta(pattern="^0?[0-7]{3}$", description="mode of directories, octal")
    ] = "0700"
    file_mode: Annotated[
        str, Meta(pattern="^0?[0-7]{3}$", description="mode of messages, octal")
    ] = "0600"


class Queue(Section, frozen=True):
    """The queue and its patience."""

    lifetime: Annotated[
        Seconds, Meta(description="how long delivery is tried before the bounce")
    ] = Seconds(7 * 86400)
    bounce_lifetime: Annotated[Seconds, Meta(description="the same for a bounce")] = Seconds(
        2 * 86400
    )
    delay_notice: Annotated[
        Seconds, Meta(description="tell the sender after so long, once (0: never)")
    ] = Seconds(4 * 3600)
    retry: Annotated[
        tuple[Seconds, ...],
        Meta(
            description="waits between attempts, the last one repeated; empty: qmail's quadratic schedule"
        ),
    ] = ()
    active: Annotated[int, Meta(ge=10, description="entries in memory at once")] = 2000
    local_concurrency: Annotated[int, Meta(ge=1, description="local deliveries at once")] = 100
    remote_concurrency: Annotated[int, Meta(ge=1, description="remote deliveries at once")] = 100
    destination_concurrency: Annotated[
        int, Meta(ge=1, description="deliveries at once to one destination")
    ] = 20
    inline: Annotated[
        Size, Meta(description="content up to here lives in the database, larger in a file")
    ] = Size(64 << 10)
    free_space: Annotated[
        Size, Meta(description="below so much free disk new mail is answered 452")
    ] = Size(100 << 20)


class JournalSection(Section, frozen=True):
    """The decision record behind `why`."""

    retention: Annotated[Seconds, Meta(description="how long records are kept")] = Seconds(
        30 * 86400
    )
    size: Annotated[Size, Meta(description="the most it may occupy; the oldest go first")] = Size(
        1 << 30
    )
    backlog: Annotated[
        int,
        Meta(
            ge=100,
            description="records waiting to be written; over it they are dropped and counted",
        ),
    ] = 10000
