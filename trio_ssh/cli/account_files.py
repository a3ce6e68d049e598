"""Files that say who may log in to an account, and StrictModes: they count only if nobody else could have written them (sshd_config(5))."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from typing import TypeVar

import attrs

from .. import KeyFileError, printable
from ..config import expand_tokens
from ..server.accounts import Account

T = TypeVar("T")

_log = logging.getLogger("trio_ssh.cli.account_files")


@attrs.frozen
class AccountFiles:
    """The files of one account. Reading blocks: call it in a thread."""

    account: Account
    strict_modes: bool = True

    def path(self, written: str, keyword: str) -> str:
        """``%h`` is the home, ``%u`` the name, ``%U`` its number; what is not absolute is in the home. Raises `ConfigError`."""
        return os.path.join(self.account.home, expand_tokens(written, account_tokens(self.account), keyword))

    def read(self, path: str, parse: Callable[[str], T]) -> T | None:
        """What `parse` makes of the file; None where there is no file, or one that does not count, which is logged."""
        if not os.path.lexists(path):
            return None
        try:
            real = os.path.realpath(path, strict=True)
            if self.strict_modes and (fault := unsafe_place(real, self.account)):
                _log.warning("%s is not used: %s (StrictModes)", printable(path), fault)
                return None
            return parse(real)
        except (KeyFileError, OSError) as error:
            _log.warning("%s", error)
            return None


def account_tokens(account: Account) -> dict[str, str]:
    """What ``%h``, ``%u`` and ``%U`` stand for."""
    return {"h": account.home, "u": account.name, "U": str(account.uid)}


def unsafe_place(path: str, account: Account) -> str:
    """Why others than the account and root could change what the file says; "" if they could not.

    The file and every folder above it, up to the account's home or to the root, must belong to the account or to root, and nobody else
    may write to them; a folder with the sticky bit will do, because there others cannot touch what is not theirs.
    """
    home = os.path.realpath(account.home)
    here = path
    while True:
        if fault := fault_of(here, (0, account.uid)):
            return fault
        if here in (home, "/"):
            return ""
        here = os.path.dirname(here)


def unsafe_program(path: str) -> str:
    """Why a program may not be executed for a login: it and every folder above it must belong to root, and only root may write there."""
    here = path
    while True:
        if fault := fault_of(here, (0,)):
            return fault
        if here == "/":
            return "" if os.path.isfile(path) and os.access(path, os.X_OK) else f"{printable(path)} cannot be executed"
        here = os.path.dirname(here)


def fault_of(path: str, owners: tuple[int, ...]) -> str:
    """What is wrong with one file or folder. Raises `OSError`."""
    status = os.stat(path)
    if status.st_uid not in owners:
        return f"{printable(path)} belongs to somebody else"
    if status.st_mode & 0o022 and not (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX):
        return f"others may write to {printable(path)}; run: chmod go-w {printable(path)}"
    return ""
