"""The system calls of local delivery, in one object, so that a test can record them or make one fail."""

import os


class Files:
    """Nothing but the calls of `os`. All block, all release the interpreter lock, all raise OSError."""

    open = staticmethod(os.open)
    write = staticmethod(os.write)
    fsync = staticmethod(os.fsync)
    close = staticmethod(os.close)
    rename = staticmethod(os.rename)
    unlink = staticmethod(os.unlink)
    mkdir = staticmethod(os.mkdir)
    rmdir = staticmethod(os.rmdir)
    chmod = staticmethod(os.chmod)
    chown = staticmethod(os.chown)
    fchmod = staticmethod(os.fchmod)
    fchown = staticmethod(os.fchown)

    @staticmethod
    def listdir(fd: int) -> list[str]:
        """Give the names in an open directory."""
        return os.listdir(fd)

    @staticmethod
    def start_writeback(fd: int) -> None:
        """Ask the kernel to begin writing a file's octets, without waiting.

        With a batch of files begun before the first fsync, the journal commits once for all of them and not once
        for each: twice the rate on ext4. Only a hint: correctness needs the fsync that follows.
        """
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
