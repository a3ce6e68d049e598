"""Reading and writing the files that keys live in: regular files only, of bounded size, private ones guarded by their mode.

Whatever is wrong with a file comes out as one `KeyFileError` that names it, says what is the matter, and what to do about it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import stat
from collections.abc import Callable
from typing import TypeAlias

import attrs

from ..errors import KeyFileError, printable

KEY_FILE_BYTES_MAX = 1 << 20

Path: TypeAlias = str | os.PathLike[str]
FileMark: TypeAlias = tuple[int, int, int, int]


class PassphraseRequired(KeyFileError):
    """The private key is encrypted and no passphrase was given: ask for one and try again."""


class WrongPassphrase(KeyFileError):
    """The private key is encrypted and this passphrase does not open it (or its encrypted part is damaged)."""


@attrs.frozen
class Source:
    """Where key material comes from, so that an error can say so. `path` is None for bytes that were handed in."""

    path: str | None = None

    @property
    def name(self) -> str:
        return "private key" if self.path is None else printable(self.path)

    @property
    def argument(self) -> str:
        """The path as one word for a shell, for the commands that error texts propose."""
        return "FILE" if self.path is None else printable(shlex.quote(self.path))

    def error(self, text: str) -> KeyFileError:
        return KeyFileError(f"{self.name}: {text}", path=self.path)

    def passphrase_required(self) -> PassphraseRequired:
        return PassphraseRequired(f"{self.name}: the private key is encrypted; give its passphrase", path=self.path)

    def wrong_passphrase(self) -> WrongPassphrase:
        text = f"{self.name}: this passphrase does not open the private key; try again (or the encrypted part of the file is damaged)"
        return WrongPassphrase(text, path=self.path)


def read_regular_file(path: Path, bytes_max: int = KEY_FILE_BYTES_MAX) -> bytes:
    """The content of a regular file of at most `bytes_max` bytes; anything else raises `KeyFileError`, and never blocks."""
    return _read(path, bytes_max, private=False)


def read_private_file(path: Path) -> bytes:
    """As `read_regular_file`, but a file of ours that group or others may touch is refused (as OpenSSH does)."""
    return _read(path, KEY_FILE_BYTES_MAX, private=True)


def read_if_exists(path: Path, bytes_max: int) -> bytes:
    """As `read_regular_file`, but a file that is missing is empty, and so is the null device."""
    try:
        descriptor = _open_to_read(path)
    except FileNotFoundError:
        return b""
    except (OSError, ValueError) as error:
        raise _os_error(path, error, "cannot be read") from None
    try:
        if _is_null_device(os.fstat(descriptor)):
            return b""
        return _read_checked(descriptor, path, bytes_max)
    finally:
        os.close(descriptor)


def _read(path: Path, bytes_max: int, *, private: bool) -> bytes:
    try:
        descriptor = _open_to_read(path)
    except (OSError, ValueError) as error:
        raise _os_error(path, error, "cannot be read") from None
    try:
        return _read_checked(descriptor, path, bytes_max, private=private)
    finally:
        os.close(descriptor)


def _open_to_read(path: Path) -> int:
    # O_NONBLOCK: opening a FIFO that nobody writes to must not wait.
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


def _read_checked(descriptor: int, path: Path, bytes_max: int, *, private: bool = False) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        what = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise _error(path, f"it is {what}; give the path of a regular file")
    if private:
        _check_mode(path, status)
    parts = []
    left = bytes_max + 1
    try:
        while left and (part := os.read(descriptor, left)):
            parts.append(part)
            left -= len(part)
    except OSError as error:
        raise _os_error(path, error, "cannot be read") from None
    if not left:
        raise _error(path, f"the file is larger than {bytes_max} bytes; it cannot be the right one")
    return b"".join(parts)


def _check_mode(path: Path, status: os.stat_result) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid == os.getuid() and mode & 0o077:
        command = printable(f"chmod 600 {shlex.quote(os.fspath(path))}")
        raise _error(path, f"its mode {mode:04o} lets others get at the private key, so it is not used; run: {command}")


def _is_null_device(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == os.stat(os.devnull).st_rdev


def is_null_device(path: Path) -> bool:
    """Is this ``/dev/null`` by whatever name?"""
    try:
        return _is_null_device(os.stat(path))
    except (OSError, ValueError):
        return False


def write_private_file(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Put a file of mode 0600 in place in one step. What stood at `path`, also a symbolic link, is replaced, never written to.

    If not `replace`, whatever stands there is left alone, and that is a `KeyFileError`.
    """
    if replace:
        replace_file(path, content)
    else:
        _put(path, content, mode=0o600)


def write_public_file(path: Path, content: bytes, *, replace: bool = True) -> None:
    """The same for a file that everybody may read, as far as the umask lets."""
    _put(path, content, mode=0o644, replace=replace)


def make_directory(path: Path) -> None:
    """Make a directory of mode 0700, and those above it, unless it is there. Raises `KeyFileError`."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except (OSError, ValueError) as error:
        raise _os_error(path, error, "cannot be made") from None


def file_mark(path: Path) -> FileMark | None:
    """What tells one state of a file from another; None if it is not there."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def replace_file(path: Path, content: bytes, *, keep_mode: bool = False, only_if: Callable[[], bool] | None = None) -> bool:
    """Write `content` to a new file beside `path`, then rename it over `path`: others see the old file or the new one, never half.

    Its mode is 0600, or with `keep_mode` that of the file that stood there, with its owner where we may set that. `only_if` is asked
    right before the rename; if it says no, nothing changes and False comes back. Raises `KeyFileError`; then nothing has changed either.
    """
    return _put(path, content, mode=0o600, keep_mode=keep_mode, only_if=only_if, replace=True)


def _put(
    path: Path,
    content: bytes,
    *,
    mode: int,
    keep_mode: bool = False,
    only_if: Callable[[], bool] | None = None,
    replace: bool = False,
) -> bool:
    target = os.fspath(path)
    temporary = f"{target}.{secrets.token_hex(8)}.tmp"
    try:
        descriptor = _create(temporary, mode)
        try:
            with open(descriptor, "wb") as file:
                _set_mode(descriptor, mode, mode_of=target if keep_mode else None)
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            if only_if is not None and not only_if():
                return False
            if replace:
                os.rename(temporary, target)
            else:
                os.link(temporary, target)  # fails if there is anything, a dangling link too
            return True
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)  # after the rename there is none
    except (OSError, ValueError) as error:
        raise _os_error(path, error, "cannot be written") from None


def _set_mode(descriptor: int, mode: int, mode_of: str | None) -> None:
    if mode == 0o600:
        os.fchmod(descriptor, mode)  # whatever the umask took away
    if mode_of is not None:
        _take_over_mode(mode_of, descriptor)


def _take_over_mode(path: str, descriptor: int) -> None:
    try:
        old = os.stat(path)
    except FileNotFoundError:
        return
    with contextlib.suppress(PermissionError):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _create(path: str, mode: int) -> int:
    # The mode is given at creation: a private file is never readable by others, not even for a moment.
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)


def _error(path: Path, text: str) -> KeyFileError:
    return KeyFileError(f"{printable(os.fspath(path))}: {text}", path=os.fspath(path))


def _os_error(path: Path, error: OSError | ValueError, what: str) -> KeyFileError:
    cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _error(path, f"{what}: {cause}; {_advice(error)}")


def _advice(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "check the path"
    if isinstance(error, FileExistsError):
        return "choose another path, or remove what is there"
    if isinstance(error, PermissionError):
        return "check who owns it and its mode, and those of its directories"
    return "check the path and the file system"
