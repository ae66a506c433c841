"""Removing, truncating and writing in the image; cleaning.apply alone uses it.

Every path is taken apart into directory descriptors opened with O_NOFOLLOW, so that a link swapped
in for a directory after the plan was made makes the step fail instead of leading elsewhere.
Removing takes a link, never its target, and never enters another mount: a bind mount has the device
of what it shows, so mounts are told apart by their ids.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import stat
from collections.abc import Iterator, Sequence
from functools import cached_property

from img_tools import mounts
from img_tools.rootfs import RootFS

MAX_OPEN = 100  # levels kept open; what lies deeper is moved up first
MEASURED = 10_000  # files of a tree whose sizes are summed up; beyond, looking at each takes long
MAX_PASSES = 1000  # times that happens; a tree that is deeper still is being added to
# Emptied or removed as a whole by nobody who means it.
SYSTEM = frozenset({
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/mnt",
    "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/usr", "/var", "/var/cache",
    "/var/lib", "/var/log", "/var/spool",
})

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_DRAFT = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Surgeon:
    """Changes files of the image at ROOT.

    Paths have no links but for their last name. Every method raises OSError, FileNotFoundError for
    a missing path, and returns the bytes it concerned, None when they were not all looked at.
    """

    def __init__(self, root: RootFS) -> None:
        self._root = root
        self._parent: tuple[str, int] | None = None
        self._foreign = mounts.foreign(root.top)

    def __enter__(self) -> Surgeon:
        return self

    def __exit__(self, *raised: object) -> None:
        self.forget()

    def forget(self) -> None:
        """Let go of what is known: somebody else may have changed it."""
        self.__dict__.pop("_mapped", None)
        self._close()

    def _close(self) -> None:
        if self._parent:
            os.close(self._parent[1])
            self._parent = None

    def _directory(self, path: str) -> int:
        """A descriptor of the directory PATH; the last one is kept, since actions come in runs."""
        if self._parent is None or self._parent[0] != path:
            self._close()
            try:
                with self._root.directory(path) as fd:
                    self._demand_own(fd)
                    self._parent = (path, os.dup(fd))
            except NotADirectoryError:  # a file stands there, so that nothing can lie below
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
        return self._parent[1]

    def _demand_own(self, fd: int) -> None:
        """Raise OSError when FD lies on a mount that is not of the image."""
        where = self._foreign.get(mounts.identity(fd)) if self._foreign else None
        if where is not None:
            raise OSError(errno.EXDEV, f"is of this machine, where {where} is, and only mounted "
                                       "into the image: umount it there")

    def unlink(self, parent: str, names: Sequence[str]) -> frozenset[str]:
        """Remove the files and links called NAMES in the directory PARENT.

        Returns those that did not go, for whatever reason; remove() tells.
        """
        try:
            fd = self._directory(_plain(parent))
        except OSError:
            return frozenset(names)
        rest = []
        for name in names:
            try:
                if "/" in name:
                    raise OSError(errno.EINVAL, "not a name")
                os.unlink(name, dir_fd=fd)
            except (OSError, ValueError):
                rest.append(name)
        return frozenset(rest)

    def remove(self, path: str) -> int | None:
        """Remove the file, link or tree at PATH.

        A file without other names is then cut to nothing: while a process has it open its blocks
        are not free, so they would not be erased, and would be on the disk when the power is off.
        Not one that a process has mapped into memory: that would be killed (SIGBUS, mmap(2)).
        """
        parent, name = _take_apart(path)
        _spare_system(path)  # a link too: /bin is one to usr/bin
        fd = self._directory(parent)
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            with self._to_be_cut(path, found.st_ino) as file:
                os.unlink(name, dir_fd=fd)
                if file is not None:
                    os.ftruncate(file, 0)
            return found.st_size if stat.S_ISREG(found.st_mode) else 0
        return _remove_tree(name, fd)

    def empty(self, path: str) -> int | None:
        """Remove everything in the directory PATH, which stays; it may be a mount itself."""
        _take_apart(path)
        _spare_system(path)
        self.forget()
        with self._root.directory(path) as fd:
            self._demand_own(fd)
            return _empty(fd)

    @contextlib.contextmanager
    def _to_be_cut(self, path: str, inode: int) -> Iterator[int | None]:
        """A descriptor of the file PATH, None where it has other names, or may be mapped."""
        fd = None
        if self._mapped is not None and inode not in self._mapped:
            with contextlib.suppress(OSError):
                fd, _ = self._open(path)
        try:
            yield fd
        finally:
            if fd is not None:
                os.close(fd)

    @cached_property
    def _mapped(self) -> frozenset[int] | None:
        return _mapped_inodes()

    def truncate(self, path: str) -> int:
        """Cut the regular file PATH to nothing, keeping inode, owner and mode.

        A file that has other names too is left alone: whoever could make a link in a directory of
        logs would choose what root destroys.
        """
        fd, size = self._open(path)
        try:
            os.ftruncate(fd, 0)
            return size
        finally:
            os.close(fd)

    def _open(self, path: str) -> tuple[int, int]:
        """A descriptor to write to the regular file PATH, which has no other names; its size."""
        parent, name = _take_apart(path)
        directory = self._directory(parent)
        before = os.stat(name, dir_fd=directory, follow_symlinks=False)
        _demand_plain(before)  # before it is opened: a device might act on that
        fd = os.open(name, _FILE, dir_fd=directory)
        try:
            self._demand_own(fd)
            found = os.fstat(fd)
            _demand_plain(found)
            if (found.st_dev, found.st_ino) != (before.st_dev, before.st_ino):
                raise OSError(errno.EAGAIN, "was replaced while it was looked at")
        except BaseException:
            os.close(fd)
            raise
        return fd, found.st_size

    def write(self, path: str, content: bytes, mode: int) -> int:
        """Put a file of CONTENT and MODE at PATH, whole or not at all; a link there is replaced.

        The name of the draft is always the same, so that what a killed run left is replaced too.
        """
        parent, name = _take_apart(path)
        try:
            directory = self._directory(parent)
        except FileNotFoundError:
            raise OSError(errno.ENOTDIR, "its directory is missing") from None
        draft = f".{name}.img-clean"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=directory)
        fd = os.open(draft, _DRAFT, 0o600, dir_fd=directory)
        try:
            with os.fdopen(fd, "wb") as file:
                _keep_label(directory, name, fd)
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=directory)
            raise
        return len(content)


def _mapped_inodes() -> frozenset[int] | None:
    """Inode numbers of files that processes have mapped into memory, and of disks in files.

    None without /proc. proc_pid_maps(5), loop(4). The device is left out: that of btrfs and
    overlays is not what stat(2) tells.
    """
    try:
        processes = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return None
    found: set[int] = set()
    for number in processes:
        try:
            with open(f"/proc/{number}/maps", "rb") as lines:
                found.update(int(line.split(None, 5)[4]) for line in lines)
        except OSError:
            continue  # it has ended
    for name in glob.glob("/sys/block/loop*/loop/backing_file"):
        with contextlib.suppress(OSError), open(name, "rb") as file:
            found.add(os.stat(file.read().rstrip(b"\n")).st_ino)
    return frozenset(found - {0}) if processes else None


def _take_apart(path: str) -> tuple[str, str]:
    """Directory and name of PATH."""
    return os.path.split(_plain(path))


def _plain(path: str) -> str:
    """PATH, which must be absolute and plain: `..` would leave the image."""
    parts = path.split("/")
    plain = path == "/" or (parts[0] == "" and len(parts) > 1 and all(parts[1:]))
    if not plain or {".", ".."} & {*parts}:
        raise OSError(errno.EINVAL, "not a plain absolute path")
    return path


def _spare_system(path: str) -> None:
    if path in SYSTEM:
        raise OSError(errno.EPERM, "a directory of the system, which stays")


def _demand_plain(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if found.st_nlink > 1:
        raise OSError(errno.EMLINK, f"has {found.st_nlink} names (hard links), and its content may "
                                    "belong to another one: look at it and remove it by hand")


def _keep_label(directory: int, name: str, draft: int) -> None:
    """Give DRAFT the SELinux label of the file NAME that it will replace, or of DIRECTORY.

    In a mounted image nothing else does, and services may not read a file without a label.
    """
    here = f"/proc/self/fd/{directory}"
    for path in (f"{here}/{name}", f"{here}/."):
        with contextlib.suppress(OSError):  # there is no such file, or it has no label
            os.setxattr(draft, _LABEL, os.getxattr(path, _LABEL, follow_symlinks=False))
            return


_LABEL = "security.selinux"


# -- trees -----------------------------------------------------------------------------------------


def _remove_tree(name: str, parent: int) -> int | None:
    """Remove the directory NAME in PARENT with all below it that is on the same mount."""
    fd = _enter(name, parent, mounts.identity(parent))
    try:
        size = _empty(fd)
    finally:
        os.close(fd)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=parent)
    return size


def _empty(top: int) -> int | None:
    """Remove all below the directory TOP. An error does not spare the rest; the first is raised."""
    size: int | None = 0
    for _ in range(MAX_PASSES):
        sweep = _Sweep(top)
        sweep.run()
        size = None if size is None or sweep.size is None else size + sweep.size
        if not sweep.moved:
            if sweep.error:
                raise sweep.error
            return size
    raise OSError(errno.EBUSY, "something adds to it faster than it can be removed")


class _Level:
    """An open directory on the way down. Owns the descriptor FD."""

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.fd = fd
        try:
            self.entries = os.scandir(fd)
        except BaseException:
            os.close(fd)
            raise

    def close(self) -> None:
        """Let the descriptors go."""
        self.entries.close()
        os.close(self.fd)


class _Sweep:
    """One pass over all below TOP. `size` is the bytes that went, `error` the first that came.

    A stack of our own, since hostile trees are deeper than Python's; and what lies deeper than
    MAX_OPEN is `moved` into TOP for the next pass, since they are deeper than descriptors last.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self._mount = mounts.identity(top)
        self._stack: list[_Level] = []
        self._files = 0
        self.size: int | None = 0
        self.moved = 0
        self.error: OSError | None = None

    def run(self) -> None:
        """Do it."""
        try:
            # Not dup(): the position in the directory would be shared with TOP's other users.
            self._stack.append(_Level("", os.open(".", _DIRECTORY, dir_fd=self._top)))
            while self._stack:
                try:
                    self._step(self._stack[-1])
                except FileNotFoundError:  # gone since: a live system
                    continue
                except OSError as error:
                    self.error = self.error or error
        finally:
            for level in self._stack:
                level.close()

    def _step(self, level: _Level) -> None:
        """Go on in LEVEL until it is done or there is a directory to go down into."""
        for entry in level.entries:
            if entry.is_dir(follow_symlinks=False):
                self._down(entry.name, level.fd)
                return
            if self.size is not None:
                self._measure(entry)
            os.unlink(entry.name, dir_fd=level.fd)
        self._stack.pop().close()
        if self._stack:
            os.rmdir(level.name, dir_fd=self._stack[-1].fd)

    def _measure(self, entry: os.DirEntry[str]) -> None:
        self._files += 1
        if self._files > MEASURED:
            self.size = None
        elif self.size is not None and entry.is_file(follow_symlinks=False):
            self.size += entry.stat(follow_symlinks=False).st_size

    def _down(self, name: str, parent: int) -> None:
        fd = _enter(name, parent, self._mount)
        if len(self._stack) < MAX_OPEN or not self._move_up(name, parent, fd):
            self._stack.append(_Level(name, fd))

    def _move_up(self, name: str, parent: int, fd: int) -> bool:
        """Move the directory NAME of PARENT, which is open as FD, into TOP, and close it.

        False on an overlay, which does not move directories of its lower half: those are gone down
        into as far as descriptors last.
        """
        new = f".img-clean.{os.fstat(fd).st_ino}.{self.moved}"
        try:
            os.rename(name, new, src_dir_fd=parent, dst_dir_fd=self._top)
        except OSError as error:
            if error.errno == errno.EXDEV:
                return False
            os.close(fd)
            raise
        os.close(fd)
        self.moved += 1
        return True


def _enter(name: str, parent: int, mount: str) -> int:
    """The directory NAME in PARENT, opened. Raises OSError unless it lies on MOUNT."""
    fd = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        if mounts.identity(fd) != mount:
            raise OSError(errno.EBUSY, f"{name} is a mount point")
    except BaseException:
        os.close(fd)
        raise
    return fd
