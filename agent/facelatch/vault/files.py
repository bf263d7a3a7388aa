# SPDX-License-Identifier: Apache-2.0
"""Small files that survive a power cut: after it there is the old content or the new, and nothing between.

A rename that fails to reach the medium leaves the old content, one that reaches it the new; the content itself is on
the medium before the rename. Flash keeps what was overwritten or removed: nothing here claims to erase.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from facelatch.errors import StorageError
from facelatch.vault.filesystem import OS, FileSystem

_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{16}\.tmp", re.DOTALL)
"""Names of the files that only an interrupted ``write_durably`` leaves behind."""


class MissingFileError(StorageError):
    """There is no such file."""


class FileExistsAlreadyError(StorageError):
    """There is such a file already."""


def storage_error(doing: str, path: Path, error: OSError) -> StorageError:
    """Put an ``OSError`` into words.

    Args:
        doing: what was tried: "read", "write", "remove", "lock".
        path: the thing it was tried with.
        error: what the system said.
    """
    number = error.errno
    if number in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"no space left to {doing} {path}", "free some space on that file system")
    if number == errno.EROFS:
        return StorageError(
            f"cannot {doing} {path}, its file system is read-only",
            "mount it writable; if it turned read-only by itself, the card is failing",
        )
    if number in (errno.EACCES, errno.EPERM):
        return StorageError(f"not allowed to {doing} {path}", "give it to the agent's user, or run as that user")
    if number == errno.ENOENT:
        return MissingFileError(f"{path} does not exist", "create it, or correct the path")
    if number == errno.EEXIST:
        return FileExistsAlreadyError(f"{path} exists already", "remove it first if it is not needed")
    if number == errno.ELOOP:
        return StorageError(f"{path} is a symbolic link", "put the file itself there")
    return StorageError(f"cannot {doing} {path} ({error.strerror})", "check the file system and the card")


def write_durably(
    path: Path,
    data: bytes,
    mode: int = 0o600,
    *,
    replace: bool = True,
    owner: tuple[int, int] | None = None,
    fs: FileSystem = OS,
) -> None:
    """Write a whole file so that a power cut leaves the old content or the new.

    After an error the same holds: the old content, or (if only the last step failed) the new, perhaps not yet durable.
    What was not to replace anything is then taken away again, if the disk lets it.

    Args:
        path: the file; its directory exists.
        data: the whole content.
        mode: permissions of the file.
        replace: whether an existing file may be replaced.
        owner: user and group to give it to before it has its name; ours if not given.
        fs: operations on the disk.

    Raises:
        FileExistsAlreadyError: the file exists and ``replace`` is false.
        StorageError: it could not be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        _write_new(temporary, data, mode, owner, fs)
        try:
            if replace:
                fs.rename(temporary, path)
            else:
                fs.link(temporary, path)
        except BaseException:
            _discard(temporary, fs)
            raise
        if replace:
            fs.sync_directory(path.parent)
        else:
            _settle(temporary, path, fs)
    except FileNotFoundError as error:
        raise StorageError(f"directory {path.parent} does not exist", "create it, or correct the path") from error
    except OSError as error:
        raise storage_error("write", path, error) from error


def _settle(temporary: Path, path: Path, fs: FileSystem) -> None:
    """Leave a new file one name, durably; or none, so that nobody is told of a failure that was none after all."""
    try:
        fs.remove(temporary)
        fs.sync_directory(path.parent)
    except BaseException:
        _discard(path, fs)
        _discard(temporary, fs)
        raise


def _write_new(path: Path, data: bytes, mode: int, owner: tuple[int, int] | None, fs: FileSystem) -> None:
    descriptor = fs.create(path, mode)
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[fs.write(descriptor, bytes(rest)) :]
            if owner is not None:
                fs.give(descriptor, owner)
            fs.sync(descriptor)
        finally:
            fs.close(descriptor)
    except BaseException:
        _discard(path, fs)
        raise


def _discard(temporary: Path, fs: FileSystem) -> None:
    # The first error is the one to tell; what cannot be removed now is swept at the next start.
    with suppress(OSError):
        fs.remove(temporary)


def remove_durably(path: Path, *, fs: FileSystem = OS) -> None:
    """Remove a file so that it stays removed after a power cut.

    Raises:
        MissingFileError: there is none, durably: an earlier call may have got as far as that.
        StorageError: it could not be removed, or not durably.
    """
    missing: FileNotFoundError | None = None
    try:
        try:
            fs.remove(path)
        except FileNotFoundError as error:
            missing = error
        fs.sync_directory(path.parent)
    except FileNotFoundError as error:  # of the directory: a volume that is not there has lost nothing
        raise no_parent(path) from error
    except OSError as error:
        raise storage_error("remove", path, error) from error
    if missing is not None:
        raise storage_error("remove", path, missing)


def sweep(directory: Path, *, fs: FileSystem = OS) -> int:
    """Remove what interrupted writes left in a directory; return how many files. No write may be under way there.

    What is left is durable then, even if its writer was killed before it could see to that: it may be acted on.

    Raises:
        StorageError: the directory cannot be read, or a leftover not be removed, or not durably.
    """
    try:
        leftovers = [path for path in directory.iterdir() if _LEFTOVER.fullmatch(path.name)]
        for path in leftovers:
            fs.remove(path)
        fs.sync_directory(directory)
    except OSError as error:
        raise storage_error("clean up", directory, error) from error
    return len(leftovers)


def read_bounded(path: Path, limit: int, *, private: bool = False) -> bytes:
    """Read a whole small file.

    Args:
        path: a regular file, not a symbolic link (links in the directories above it are followed).
        limit: most bytes it may hold.
        private: refuse it unless it is ours and only we may read it.

    Raises:
        MissingFileError: there is none.
        StorageError: it is something else, too large, not private enough, or cannot be read.
    """
    try:
        # Without O_NONBLOCK a pipe put there by someone else would hold us up for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _require_trustworthy(path, os.fstat(descriptor), private)
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(limit + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise storage_error("read", path, error) from error
    if len(data) > limit:
        raise StorageError(f"{path} is larger than {limit} bytes", "restore it from a backup, or remove it")
    return data


def _require_trustworthy(path: Path, status: os.stat_result, private: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise StorageError(f"{path} is not a regular file", "put the file itself there")
    if private:
        require_private(path, status)


def make_private_directory(directory: Path, *, fs: FileSystem = OS) -> None:
    """Make a directory that only we may use, durably, or see that the one that is there is such a one.

    Raises:
        StorageError: it is not private, not a directory, or its parent does not exist.
    """
    try:
        try:
            fs.make_directory(directory)
        except FileExistsError:
            # An earlier call may have got no further than this. Who may not read the parent did not make it.
            with suppress(PermissionError):
                fs.sync_directory(directory.parent)
        else:
            # Otherwise a power cut could take the directory, and with it what was reported as stored.
            fs.sync_directory(directory.parent)
    except FileNotFoundError as error:
        raise no_parent(directory) from error
    except OSError as error:
        raise storage_error("create", directory, error) from error
    try:
        status = directory.stat()
    except OSError as error:
        raise storage_error("use", directory, error) from error
    if not stat.S_ISDIR(status.st_mode):
        raise StorageError(f"{directory} is not a directory", "remove it, or correct the path")
    require_private(directory, status)


def no_parent(path: Path) -> StorageError:
    """Make the error for a path whose directory is missing."""
    return StorageError(f"{path.parent} does not exist", "create it, or correct the path")


def require_private(path: Path, status: os.stat_result) -> None:
    """Check that a file or directory is ours and nobody else may use it.

    Raises:
        StorageError: it is not.
    """
    if status.st_uid != os.geteuid():
        raise StorageError(
            f"{path} belongs to uid {status.st_uid}, not to the agent (uid {os.geteuid()})",
            f"run `chown {os.geteuid()} {path}`",
        )
    if status.st_mode & 0o077:
        raise StorageError(
            f"{path} is open to others (mode {stat.S_IMODE(status.st_mode):04o})", f"run `chmod go= {path}`"
        )
