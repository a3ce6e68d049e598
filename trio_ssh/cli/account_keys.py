"""AuthorizedKeysFile and StrictModes: whose keys open which account of this machine (sshd_config(5))."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable

import attrs
import trio

from .. import ACCEPT, REFUSE, UNKNOWN_USER, AuthAttempt, KeyFileError, PublicKey, Verdict, printable
from ..config import expand_tokens
from ..keys import read_authorized_keys
from ..server.accounts import Account, find_account

_log = logging.getLogger("trio_ssh.cli.account_keys")


@attrs.frozen
class AccountKeys:
    """Lets somebody into an account with a key that one of the account's files lists. The files are read at each attempt.

    `files` may hold ``%h`` (home), ``%u`` (user) and ``%%``; what is not absolute is in the account's home. Without root's rights only
    our own account is served.
    """

    files: tuple[str, ...]
    strict_modes: bool = True

    methods = ("publickey",)

    async def __call__(self, attempt: AuthAttempt) -> Verdict:
        account = await find_account(attempt.username)
        if account is None or not account.may_be_served or attempt.public_key is None:
            _log.info("%s asked for the account %s, which is not served here", attempt.peer, printable(attempt.username, 100))
            return UNKNOWN_USER
        found = await trio.to_thread.run_sync(self._is_listed, account, attempt.public_key)
        if found and attempt.proven:
            key = attempt.public_key
            _log.info("accepted publickey for %s from %s: %s %s", printable(account.name), attempt.peer, key.algorithm, key.fingerprint())
        return ACCEPT if found else REFUSE

    def paths(self, account: Account) -> tuple[str, ...]:
        """The account's files. Raises `ConfigError` for an unknown token."""
        tokens = {"h": account.home, "u": account.name}
        return tuple(os.path.join(account.home, expand_tokens(file, tokens, "AuthorizedKeysFile")) for file in self.files)

    def _is_listed(self, account: Account, key: PublicKey) -> bool:
        return any(key in self._read(path, account) for path in self.paths(account))

    def _read(self, path: str, account: Account) -> Iterable[PublicKey]:
        if not os.path.lexists(path):
            return ()
        try:
            real = os.path.realpath(path, strict=True)
            if self.strict_modes and (fault := unsafe_place(real, account)):
                _log.warning("%s is not used: %s (StrictModes)", printable(path), fault)
                return ()
            return [entry.key for entry in read_authorized_keys(real).entries]
        except (KeyFileError, OSError) as error:
            _log.warning("%s", error)
            return ()


def unsafe_place(path: str, account: Account) -> str:
    """Why others than the account and root could change what the file says; "" if they could not.

    The file and every folder above it, up to the account's home or to the root, must belong to the account or to root, and nobody else
    may write to them; a folder with the sticky bit will do, because there others cannot touch what is not theirs.
    """
    home = os.path.realpath(account.home)
    here = path
    while True:
        status = os.stat(here)
        shared = status.st_mode & 0o022 and not (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX)
        if status.st_uid not in (0, account.uid):
            return f"{printable(here)} belongs to somebody else"
        if shared:
            return f"others may write to {printable(here)}; run: chmod go-w {printable(here)}"
        if here in (home, "/"):
            return ""
        here = os.path.dirname(here)
