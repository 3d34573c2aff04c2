"""What an error of the file system means for the mail, and for the postmaster.

Every one of them passes when somebody acts, so the message waits: a table of replies (RFC 3463) and remedies.
"""

import errno
from dataclasses import dataclass

from notqmail.mail.reply import Reply


@dataclass(frozen=True, slots=True)
class Trouble:
    """`reply` is for the report to the sender, `remedy` for the log."""

    reply: Reply
    remedy: str


_MAILBOX_FULL = Reply(452, "4.2.2", "Mailbox full")
_SYSTEM_FULL = Reply(452, "4.3.1", "Mail system full")
_UNABLE = Reply(451, "4.3.0", "Mailbox cannot be written to at the moment")

_NOT_OURS = (
    "give the directory to the server's user (chown -R), or set mailbox.owner and user alike"
)
_TABLE = {
    errno.EDQUOT: Trouble(_MAILBOX_FULL, "raise the disk quota of the owner, or make room in it"),
    errno.ENOSPC: Trouble(_SYSTEM_FULL, "free disk space or inodes (df -h, df -i)"),
    errno.EACCES: Trouble(_UNABLE, _NOT_OURS),
    errno.EPERM: Trouble(_UNABLE, _NOT_OURS),
    errno.EROFS: Trouble(_UNABLE, "the file system is read-only: see dmesg, then remount it"),
    errno.ENOTDIR: Trouble(_UNABLE, "something that is not a directory is in the way: move it"),
    errno.ELOOP: Trouble(_UNABLE, "a symbolic link is in the way: move it"),
    errno.ENAMETOOLONG: Trouble(_UNABLE, "choose a shorter mailbox.path"),
    errno.EIO: Trouble(_UNABLE, "the disk failed: see dmesg"),
    errno.EMFILE: Trouble(_UNABLE, "raise the limit of open files (LimitNOFILE, ulimit -n)"),
    errno.ENFILE: Trouble(_UNABLE, "raise the limit of open files (fs.file-max)"),
}
_OTHER = Trouble(_UNABLE, "see the error and the path")


def disk_trouble(error: OSError) -> Trouble:
    """Look an error up."""
    return _TABLE.get(error.errno or 0, _OTHER)
