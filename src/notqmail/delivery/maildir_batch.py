"""Puts letters into Maildirs, many at once; blocking, for worker threads.

A letter is delivered when it would survive a power failure: its octets fsynced in tmp/, renamed into new/, and new/
fsynced. Each step is done for the whole batch before the next begins, so that the file system can commit
them together and each new/ is fsynced once. A letter that fails drops out and the others go on.

What a crash leaves at each point: a file in tmp/, which the recovered attempt removes (as Maildir readers do after
36 hours); or the letter in new/ with its attempt unrecorded, where the recovered attempt finds it by name.
"""

import errno
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from notqmail.delivery.files import Files
from notqmail.delivery.letter import Letter
from notqmail.delivery.maildir_tree import DIRECTORY, MaildirTree

_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW


class _Box:
    """A Maildir during one batch: its descriptors, and what is in it when a recovered letter asks."""

    __slots__ = ("fd", "leftovers", "names", "new")

    def __init__(self, fd: int, new: int) -> None:
        self.fd, self.new = fd, new
        self.names: dict[str, str] | None = None  # name without flags → new | cur
        self.leftovers: dict[str, list[str]] = {}  # name → files in tmp/


class MaildirBatch:
    """One batch. `deliver` does it in one go; `begin`, `append`…, `finish` do it for letters in pieces.

    Mail trouble ends up in `Letter.failure`; nothing here raises OSError. `close` it at the end.
    """

    def __init__(self, tree: MaildirTree, files: Files, file_mode: int) -> None:
        self._tree, self._files, self._mode = tree, files, file_mode
        self._boxes: dict[str, _Box] = {}

    def deliver(self, letters: Sequence[Letter], contents: Iterable[bytes]) -> None:
        """Deliver letters whose octets are at hand, one content for each."""
        for letter, content in zip(letters, contents, strict=True):
            self.begin(letter)
            self.append(letter, content)
        if len(letters) > 1:
            self._each(letters, self._start_writeback)
        self.finish(letters)

    def begin(self, letter: Letter) -> None:
        """Open the letter's file in tmp/, or find the letter delivered already."""
        self._try(letter, self._begin)

    def append(self, letter: Letter, piece: bytes) -> None:
        """Write octets of a letter that is still pending."""
        if letter.pending:
            try:
                written = self._files.write(letter.fd, piece)
                while written < len(piece):
                    written += self._files.write(letter.fd, memoryview(piece)[written:])
            except OSError as error:
                self._fail(letter, error)

    def finish(self, letters: Sequence[Letter]) -> None:
        """Make letters durable, then visible, then durably visible."""
        self._each(letters, self._sync)
        self._each(letters, self._rename)
        self._sync_directories(letters)

    def abandon(self, letter: Letter) -> None:
        """Take back a letter that has not become visible."""
        if letter.fd >= 0:
            fd, letter.fd = letter.fd, -1
            self._quietly(self._files.close, fd)
        box = self._boxes.get(letter.maildir)
        if box is not None:
            with suppress(OSError):
                self._files.unlink(letter.tmp, dir_fd=box.fd)

    def close(self) -> None:
        """Give the directories back."""
        for box in self._boxes.values():
            self._quietly(self._files.close, box.fd)
            self._quietly(self._files.close, box.new)
        self._boxes.clear()

    # -- one step for one letter ---------------------------------------------------------------------------

    def _each(self, letters: Iterable[Letter], step: Callable[[Letter], None]) -> None:
        for letter in letters:
            if letter.pending:
                self._try(letter, step)

    def _try(self, letter: Letter, step: Callable[[Letter], None]) -> None:
        try:
            step(letter)
        except OSError as error:
            self._fail(letter, error)

    def _fail(self, letter: Letter, error: OSError) -> None:
        letter.failure = error
        if error.errno == errno.ENOENT:  # a directory has gone: the next attempt makes it anew
            self._forget(letter)
        self.abandon(letter)

    def _begin(self, letter: Letter) -> None:
        try:
            self._create(letter)
        except FileNotFoundError:  # somebody has removed the Maildir, or a part of it
            self._forget(letter)
            box = self._boxes.pop(letter.maildir, None)
            if box is not None:
                self._quietly(self._files.close, box.fd)
                self._quietly(self._files.close, box.new)
            self._create(letter)

    def _create(self, letter: Letter) -> None:
        box = self._boxes.get(letter.maildir) or self._open(letter)
        if letter.look and self._found(letter, box):
            return
        try:
            letter.fd = self._files.open(letter.tmp, _NEW_FILE, self._mode, dir_fd=box.fd)
        except FileExistsError:  # this very attempt has been here before
            self._files.unlink(letter.tmp, dir_fd=box.fd)
            letter.fd = self._files.open(letter.tmp, _NEW_FILE, self._mode, dir_fd=box.fd)
        self._tree.own(letter.fd)

    def _start_writeback(self, letter: Letter) -> None:
        self._files.start_writeback(letter.fd)

    def _sync(self, letter: Letter) -> None:
        self._files.fsync(letter.fd)
        fd, letter.fd = letter.fd, -1
        self._files.close(fd)

    def _rename(self, letter: Letter) -> None:
        # rename, not link: a file of this name is this very letter, delivered by an attempt before
        box = self._boxes.get(letter.maildir)
        if (
            box is None
        ):  # the Maildir was removed in the middle of the batch and could not be made again
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), letter.maildir)
        self._files.rename(letter.tmp, f"new/{letter.name}", src_dir_fd=box.fd, dst_dir_fd=box.fd)

    # -- Maildirs ------------------------------------------------------------------------------------------

    def _open(self, letter: Letter) -> _Box:
        self._tree.ensure(letter.maildir, letter.home)
        fd = self._files.open(letter.maildir, DIRECTORY)
        try:
            box = _Box(fd, self._files.open("new", DIRECTORY, dir_fd=fd))
        except OSError:
            self._files.close(fd)
            raise
        self._boxes[letter.maildir] = box
        return box

    def _forget(self, letter: Letter) -> None:
        self._tree.forget(letter.home)
        self._tree.forget(letter.maildir)

    def _found(self, letter: Letter, box: _Box) -> bool:
        """Look for the letter among what earlier attempts delivered; remove what they left unfinished."""
        if box.names is None:
            box.names = self._scan(box)
        for leftover in box.leftovers.pop(letter.name, ()):
            self._files.unlink(f"tmp/{leftover}", dir_fd=box.fd)
        letter.found = box.names.get(letter.name, "")
        return bool(letter.found)

    def _scan(self, box: _Box) -> dict[str, str]:
        """Read the names once for all recovered letters of the batch. new/ before cur/: readers move that way."""
        names: dict[str, str] = {}
        for place in ("new", "cur"):
            for name in self._list(box, place):
                names[name.partition(":")[0]] = place
        leftovers: dict[str, list[str]] = defaultdict(list)
        for name in self._list(box, "tmp"):
            leftovers[name.rpartition(".")[0]].append(name)
        box.leftovers = dict(leftovers)
        return names

    def _list(self, box: _Box, place: str) -> list[str]:
        fd = self._files.open(place, DIRECTORY, dir_fd=box.fd)
        try:
            return self._files.listdir(fd)
        finally:
            self._files.close(fd)

    def _sync_directories(self, letters: Sequence[Letter]) -> None:
        """fsync each new/ (and cur/ where a reader has moved a found letter) once; its letters share its fate."""
        places: dict[tuple[str, str], list[Letter]] = {}
        for letter in letters:
            if letter.failure is None:
                places.setdefault((letter.maildir, letter.found or "new"), []).append(letter)
        for (maildir, place), inside in places.items():
            try:
                self._sync_place(self._boxes[maildir], place)
            except OSError as error:
                for letter in inside:
                    letter.failure = error

    def _sync_place(self, box: _Box, place: str) -> None:
        if place == "new":
            self._files.fsync(box.new)
            return
        fd = self._files.open(place, DIRECTORY, dir_fd=box.fd)
        try:
            self._files.fsync(fd)
        finally:
            self._files.close(fd)

    def _quietly(self, call: Callable[[int], None], fd: int) -> None:
        with suppress(OSError):
            call(fd)
