"""The operating system's accounts: who a session's user is to it, and whether this server may act for that account."""

from __future__ import annotations

import os
import pwd

import attrs
import trio


@attrs.frozen
class Account:
    """One entry of the account database; `groups` are all groups of the account, the primary one included."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str
    groups: tuple[int, ...]

    @property
    def is_ours(self) -> bool:
        """It is the account this process runs as: nothing has to be switched."""
        return self.uid == os.geteuid()

    @property
    def may_be_served(self) -> bool:
        """Only root can become somebody else."""
        return self.is_ours or os.geteuid() == 0


async def find_account(name: str) -> Account | None:
    """The account of that name, or None. In a thread: the database may be a directory server that takes its time."""
    return await trio.to_thread.run_sync(_look_up, name, abandon_on_cancel=True)


def _look_up(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):  # ValueError: a NUL, or what cannot be a name in this locale
        return None
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir or "/", entry.pw_shell or "/bin/sh", groups)
